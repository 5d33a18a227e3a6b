from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.dataset.build import PreferenceDataset, build_dataset
from grpo_pipeline.dataset.manifest import manifest_fields
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.dataset.write import write_dataset
from grpo_pipeline.verdict import Verdict
from grpo_pipeline_tests.dataset.feedback import FIRST, curated, many_pairs, pair, user_on, vote, votes

TOOLS = '[{"type": "function", "function": {"name": "search", "description": "Look it up", "parameters": {}}}]'
TEMPLATE = (
    "{% if tools %}<tools>{% for tool in tools %}{{ tool.function.name }}{% endfor %}</tools>{% endif %}"
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}</{{ message.role }}>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def written(dataset: PreferenceDataset, directory: Path) -> dict[str, bytes]:
    directory.mkdir()
    write_dataset(dataset, directory)
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def loaded(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of each split, as `datasets` reads the folder."""
    from datasets import load_dataset

    splits = load_dataset(str(directory), cache_dir=str(directory.parent / "cache"))
    return {name: list(rows) for name, rows in splits.items()}


@pytest.fixture
def dataset() -> PreferenceDataset:
    with_tools = pl.when(pl.col("id").str.ends_with("0")).then(pl.lit(TOOLS)).alias("tools")
    thumbs = votes(
        vote("u", "up", "Tell me all about Ramp", "Ramp sells corporate cards.", 2),
        vote("d", "down", "Tell me all about Ramp", "It is a firm.", 1),
    )
    return build_dataset(many_pairs().with_columns(with_tools), thumbs, FIRST.shift(5), DatasetSettings())


def test_the_folder_loads_with_datasets_as_train_and_test(dataset: PreferenceDataset, tmp_path: Path) -> None:
    from trl.data_utils import is_conversational

    written(dataset, tmp_path / "dataset")
    splits = loaded(tmp_path / "dataset")
    assert {name: len(rows) for name, rows in splits.items()} == {
        "train": len(dataset.train),
        "test": len(dataset.held_out),
    }
    row = splits["train"][0]
    assert is_conversational(row)
    assert row["prompt"] == dataset.train["prompt"].to_list()[0]
    assert row["chosen"][0]["role"] == row["rejected"][0]["role"] == "assistant"


def test_a_row_goes_through_trl_s_chat_template_with_its_tools(dataset: PreferenceDataset, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from trl import maybe_apply_chat_template

    written(dataset, tmp_path / "dataset")
    row = next(row for row in loaded(tmp_path / "dataset")["train"] if row["tools"])
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, chat_template=TEMPLATE)
    rendered = maybe_apply_chat_template(row, tokenizer, tools=json.loads(row["tools"]))
    asked = row["prompt"][0]["content"]
    assert rendered["prompt"] == f"<tools>search</tools><user>{asked}</user><assistant>"
    assert rendered["chosen"] == f"{row['chosen'][0]['content']}</assistant>"
    assert rendered["rejected"] == f"{row['rejected'][0]['content']}</assistant>"


def test_a_dataset_with_one_empty_side_loads_with_the_other_side_alone(tmp_path: Path) -> None:
    only = build_dataset(curated(pair("a", user_on("held_out"), "Why?")), votes(), FIRST, DatasetSettings())
    written(only, tmp_path / "dataset")
    assert [(name, len(rows)) for name, rows in loaded(tmp_path / "dataset").items()] == [("test", 1)]


def test_the_same_input_in_another_order_gives_the_same_bytes(tmp_path: Path) -> None:
    frame = many_pairs()
    first = build_dataset(frame, votes(), FIRST.shift(5), DatasetSettings())
    second = build_dataset(frame.sample(fraction=1, shuffle=True, seed=7), votes(), FIRST.shift(5), DatasetSettings())
    assert written(first, tmp_path / "one") == written(second, tmp_path / "two")
    assert first.hash == second.hash


def test_a_changed_answer_changes_the_hash() -> None:
    first, second = (
        build_dataset(curated(pair("a", "ada", "Why?", chosen=text)), votes(), FIRST, DatasetSettings()).hash
        for text in ("Because.", "Because of it.")
    )
    assert first != second


def test_pairs_nobody_could_train_on_are_left_out_with_a_reason() -> None:
    frame = curated(
        pair("ends", "ada", '[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]'),
        pair("role", "ada", '[{"role":"narrator","content":"Hi"}]'),
        pair("tools", "ada", "Why?", tools="not JSON"),
        pair("list", "ada", "Why not?", tools='["search"]'),
        pair("first", "ada", "How?", chosen="So.", rejected="No."),
        pair("second", "ada", " how? ", minute=1, chosen="so.", rejected="no."),
        pair("first", "ada", "Another text of the same row", minute=2),
    )
    dataset = build_dataset(frame, votes(), FIRST, DatasetSettings())
    assert sorted(dataset.excluded.select("id", "reason").iter_rows()) == [
        ("ends", "prompt_without_a_turn_to_answer"),
        ("first", "repeated_id"),
        ("list", "unreadable_tools"),
        ("role", "prompt_without_a_turn_to_answer"),
        ("second", "same_as_an_earlier_pair"),
        ("tools", "unreadable_tools"),
    ]
    assert [*dataset.train["id"], *dataset.held_out["id"]] == ["first"]


def test_a_single_tool_becomes_a_list_and_no_tools_are_null() -> None:
    frame = curated(
        pair("a", "ada", "Why?", tools='{"name": "search", "a": 1}'),
        pair("b", "ada", "Who?", tools="[]"),
        pair("c", "ada", "When?", tools="null"),
    )
    dataset = build_dataset(frame, votes(), FIRST, DatasetSettings())
    assert pl.concat([dataset.train, dataset.held_out])["tools"].to_list() == ['[{"name":"search","a":1}]', None, None]


def test_the_look_back_ends_where_it_says_and_later_weeks_are_not_read() -> None:
    dataset = build_dataset(many_pairs(weeks=6), votes(), FIRST.shift(4), DatasetSettings(lookback_weeks=2))
    weeks = {*dataset.train["week"], *dataset.held_out["week"], *dataset.excluded["week"]}
    assert weeks == {FIRST.shift(3).key, FIRST.shift(4).key}
    assert dataset.counts["curated"] == 60


def test_near_duplicate_prompts_share_a_cluster() -> None:
    frame = curated(
        pair("a", "ada", "Which investors led the last round of Ramp?"),
        pair("b", "ada", "Which investors led the last round of Ramp, please?", minute=1),
        pair("c", "ada", "How is the weather in Lisbon?", minute=2),
    )
    dataset = build_dataset(frame, votes(), FIRST, DatasetSettings())
    rows = pl.concat([dataset.train, dataset.held_out])
    assert rows["cluster"].to_list() == ["a", "a", "c"]


def test_no_contributor_is_named_and_every_pair_names_its_feedback(dataset: PreferenceDataset) -> None:
    rows = pl.concat([dataset.train, dataset.held_out])
    assert rows.filter(pl.col("contributor").str.contains("user")).is_empty()
    assert rows.filter(source="mined")["source_ids"].to_list() == [["u", "d"]]
    corrected = curated(pair("p", "ada", "Why?", feedback_id="f"))
    built = build_dataset(corrected, votes(), FIRST, DatasetSettings())
    assert pl.concat([built.train, built.held_out])["source_ids"].to_list() == [["p", "f"]]


def test_the_manifest_adds_up_and_keeps_salt_and_verdict_out_of_the_content_hash(
    dataset: PreferenceDataset, tmp_path: Path
) -> None:
    inputs = {"curated_pairs": {"2026-01-05": "abc"}}
    fields = manifest_fields(dataset, Verdict("pass", "180 new pairs"), inputs, ["2025-12-29"])
    counts, weeks = fields["counts"], fields["weeks"]
    assert counts["curated"] + counts["mined"] == counts["train"] + counts["held_out"] + counts["excluded"]
    for part in ("train", "held_out", "excluded"):
        assert sum(week[part] for week in weeks.values()) == counts[part]
    assert fields["inputs"] == inputs
    assert fields["missing_weeks"] == ["2025-12-29"]
    assert "split_salt" not in fields["settings"]

    store = ArtifactStore(tmp_path)
    hashes = set()
    for verdict in (Verdict("pass", "180 new pairs"), Verdict("skipped", "0 of 100 new pairs: not trained")):
        with store.draft("preference_dataset") as draft:
            write_dataset(dataset, draft)
            fields = manifest_fields(dataset, verdict, inputs)
            hashes.add(store.publish(draft, "preference_dataset", dataset.week.key, fields).hash)
    assert len(hashes) == 1


def test_the_card_counts_and_quotes_nobody(dataset: PreferenceDataset, tmp_path: Path) -> None:
    card = written(dataset, tmp_path / "dataset")["README.md"].decode()
    assert f"{len(dataset.train)} pairs to train on and {len(dataset.held_out)} held out" in card
    assert dataset.hash in card
    for text in ("corporate cards", "investors", "thin answer", "user-1"):
        assert text not in card
