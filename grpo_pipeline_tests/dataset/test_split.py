from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_pipeline.dataset.build import PreferenceDataset, build_dataset, contributors
from grpo_pipeline.dataset.prompts import question
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.dataset.split import LEAK, Placed, contributor_names, place, side_of, unit_name
from grpo_pipeline.near_duplicates import PERMUTATIONS, PROMPT_WIDTH, signatures
from grpo_pipeline_tests.dataset.feedback import FIRST, curated, many_pairs, pair, user_on, vote, votes

DEFAULTS = DatasetSettings()
NO_VOTES = votes()


def build(frame: pl.DataFrame, last: int = 0, votes: pl.DataFrame = NO_VOTES, **chosen: object) -> PreferenceDataset:
    return build_dataset(frame, votes, FIRST.shift(last), DatasetSettings.model_validate(chosen))


def prompts_of(frame: pl.DataFrame) -> list[str]:
    return [" ".join(message["content"] for message in messages) for messages in frame["prompt"].to_list()]


def most_similar_across(dataset: PreferenceDataset) -> float:
    """The highest similarity of any training prompt with any held-out prompt, each compared with each."""
    train = signatures([question(text) for text in prompts_of(dataset.train)], PROMPT_WIDTH)
    held_out = signatures([question(text) for text in prompts_of(dataset.held_out)], PROMPT_WIDTH)
    return max((int((train == row).sum(axis=1).max()) / PERMUTATIONS for row in held_out), default=0.0)


def assert_nothing_leaks(dataset: PreferenceDataset) -> None:
    if dataset.train.is_empty() or dataset.held_out.is_empty():
        return
    assert most_similar_across(dataset) < dataset.settings.leak_similarity
    if dataset.settings.hold_out_by == "contributor":
        assert not contributors(dataset.train) & contributors(dataset.held_out)
    assert not set(dataset.train["id"]) & set(dataset.held_out["id"])


def assert_counts_add_up(dataset: PreferenceDataset) -> None:
    counts = dataset.counts
    assert counts["curated"] + counts["mined"] == counts["train"] + counts["held_out"] + counts["excluded"]


def test_about_the_held_out_fraction_of_contributors_is_held_out() -> None:
    held_out = [side_of(unit_name("salt", "contributor", f"user {n}"), 0.2) == "held_out" for n in range(5000)]
    assert 0.18 < sum(held_out) / 5000 < 0.22


def test_another_salt_draws_another_split() -> None:
    first, second = build(many_pairs(), 5), build(many_pairs(), 5, split_salt="another")
    assert set(first.held_out["id"]) != set(second.held_out["id"])


def test_a_prompt_asked_again_on_the_other_side_is_left_out_and_the_earlier_pair_stays() -> None:
    trained, kept_apart = user_on("train"), user_on("held_out")
    frame = curated(
        pair("a", kept_apart, "Which investors led the last round of Ramp?", minute=1),
        pair("b", trained, "Which investors led the last round of RAMP, please?", minute=2),
        pair("c", trained, "What does Brex charge?", minute=3),
        pair("d", kept_apart, "What does   Brex charge?", minute=4),
    )
    dataset = build(frame)
    assert dataset.held_out["id"].to_list() == ["a"]
    assert dataset.train["id"].to_list() == ["c"]
    assert dict(dataset.excluded.select("id", "reason").iter_rows()) == {"b": LEAK, "d": LEAK}


def test_a_long_system_message_does_not_make_all_prompts_alike() -> None:
    instructions = "You research companies. " * 40
    asked = ["Who founded Ramp?", "What does Brex charge small shops?"]
    prompts = [
        f'[{{"role":"system","content":"{instructions}"}},{{"role":"user","content":"{text}"}}]' for text in asked
    ]
    frame = curated(pair("a", user_on("train"), prompts[0]), pair("b", user_on("held_out"), prompts[1], minute=1))
    assert build(frame).counts["excluded"] == 0


def test_pairs_without_a_contributor_are_split_by_their_prompt() -> None:
    frame = many_pairs().with_columns(user_id=pl.lit(None, dtype=pl.String))
    dataset = build(frame, 5)
    assert 0.1 < dataset.counts["held_out"] / len(frame) < 0.3
    assert_nothing_leaks(dataset)
    assert contributor_names(["", None, " "], "a question", DEFAULTS) == [
        unit_name("grpo-pipeline", "prompt", "a question")
    ]


def test_a_mined_pair_of_contributors_on_both_sides_is_left_out() -> None:
    rows = votes(
        vote("u", "up", "Analyze @Ramp", "long", user_id=user_on("train")),
        vote("d", "down", "Analyze @Ramp", "short", user_id=user_on("held_out")),
    )
    dataset = build(curated(), votes=rows)
    assert dataset.excluded["reason"].to_list() == ["contributors_on_both_sides"]
    assert build(curated(), votes=rows, hold_out_by="prompt").counts["excluded"] == 0


def test_a_split_by_prompt_serves_feedback_of_one_contributor() -> None:
    dataset = build(many_pairs(people=1), 5, hold_out_by="prompt")
    assert len(dataset.train)
    assert len(dataset.held_out)
    assert_nothing_leaks(dataset)


def test_nothing_leaks_among_hundreds_of_prompts_that_look_alike() -> None:
    rows = [
        pair(f"{n:04d}", f"user {n % 97}", f"Write a short research brief about company {n * 7919 % 1_000_003}", 0, n)
        for n in range(600)
    ]
    dataset = build(curated(*rows), held_out_fraction=0.4, leak_similarity=0.75)
    assert dataset.counts[f"excluded_{LEAK}"] > 50
    assert len(dataset.held_out) > 10
    assert_nothing_leaks(dataset)
    assert_counts_add_up(dataset)


def test_later_pairs_never_move_an_earlier_one() -> None:
    questions = [f"question {n % 4} about the {n % 3}th company" for n in range(40)]
    names = [[unit_name("salt", "contributor", f"user {n % 9}")] for n in range(40)]
    settled = place(questions, names, DatasetSettings(held_out_fraction=0.4))
    for length in range(40):
        earlier = place(questions[:length], names[:length], DatasetSettings(held_out_fraction=0.4))
        assert earlier == settled[:length]
    assert Placed(None, LEAK) in settled


WORDS = ("ramp", "brex", "stripe", "plaid", "funding", "people", "prices", "risks", "rivals", "founders")
FEEDBACK = st.lists(
    st.tuples(
        st.integers(0, 11),
        st.one_of(st.none(), st.integers(0, 8)),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=50,
)
SETTINGS = st.builds(
    DatasetSettings,
    lookback_weeks=st.integers(1, 8),
    held_out_fraction=st.sampled_from([0.2, 0.5]),
    hold_out_by=st.sampled_from(["contributor", "prompt"]),
    split_salt=st.sampled_from(["one", "two", "three"]),
)


def tables(drawn: list[tuple[int, int | None, list[str], bool]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Curated pairs and votes of one drawn history: (week, user, words of the prompt, vote or correction)."""
    pairs, thumbs = [], []
    for number, (week, user, words, is_vote) in enumerate(drawn):
        name, prompt = None if user is None else f"user {user}", "Tell me about " + " and ".join(words)
        if is_vote:
            kind = "up" if number % 2 else "down"
            thumbs.append(vote(f"v{number:02d}", kind, prompt, f"answer {number}", week, user_id=name, minute=number))
        else:
            pairs.append(pair(f"p{number:02d}", name, prompt, week, number))
    return curated(*pairs), votes(*thumbs)


@settings(max_examples=40, deadline=None)
@given(FEEDBACK, SETTINGS)
def test_a_held_out_pair_stays_held_out_in_every_later_week_and_nothing_ever_leaks(
    drawn: list[tuple[int, int | None, list[str], bool]], chosen: DatasetSettings
) -> None:
    frame, thumbs = tables(drawn)
    before: PreferenceDataset | None = None
    ever_held_out: set[str] = set()
    for week in range(12):
        dataset = build_dataset(frame, thumbs, FIRST.shift(week), chosen)
        assert_nothing_leaks(dataset)
        assert_counts_add_up(dataset)
        assert not ever_held_out & set(dataset.train["id"])
        if before:
            present = {*dataset.train["id"], *dataset.held_out["id"], *dataset.excluded["id"]}
            assert set(before.held_out["id"]) & present <= set(dataset.held_out["id"])
            assert set(before.train["id"]) & present <= set(dataset.train["id"])
        ever_held_out |= set(dataset.held_out["id"])
        before = dataset


@settings(max_examples=25, deadline=None)
@given(FEEDBACK, SETTINGS)
def test_a_history_cut_off_at_the_look_back_still_never_trains_on_a_held_out_pair(
    drawn: list[tuple[int, int | None, list[str], bool]], chosen: DatasetSettings
) -> None:
    frame, thumbs = tables(drawn)
    ever_held_out: set[str] = set()
    for last in range(12):
        week = FIRST.shift(last)
        first = week.shift(1 - chosen.lookback_weeks)
        dataset = build_dataset(
            frame.filter(pl.col("week") >= first.key), thumbs.filter(pl.col("created_at") >= first.start), week, chosen
        )
        assert_nothing_leaks(dataset)
        assert not ever_held_out & set(dataset.train["id"])
        ever_held_out |= set(dataset.held_out["id"])


@settings(max_examples=30, deadline=None)
@given(FEEDBACK, SETTINGS, st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing(
    drawn: list[tuple[int, int | None, list[str], bool]], chosen: DatasetSettings, seed: int
) -> None:
    frame, thumbs = tables(drawn)
    week = FIRST.shift(11)
    shuffled = [part.sample(fraction=1, shuffle=True, seed=seed) for part in (frame, thumbs)]
    first, second = build_dataset(frame, thumbs, week, chosen), build_dataset(shuffled[0], shuffled[1], week, chosen)
    assert first.hash == second.hash
    assert first.excluded.equals(second.excluded)
