from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

import grpo_pipeline
from grpo_pipeline.evaluation.divergence import Divergence
from grpo_pipeline.evaluation.pairs import HeldOutPair
from grpo_pipeline.evaluation.scoring import Measured, doublings, length_normalized, score_rows, tool_call_accuracy
from grpo_pipeline.evaluation.word_similarity import longest_common, word_similarity
from grpo_pipeline.rewards.catalog import REWARDS

CALL = '<tool_call>\n{"name": "lookup", "arguments": {"company": "acme"}}\n</tool_call>'
CHOSEN = "Revenue grew by 40 % last year."


def measured(chosen_mean: float, rejected_mean: float, *answers: str) -> Measured:
    pair = HeldOutPair(
        "p", "2026-10-05", "c", ({"role": "user", "content": "Analyze acme"},), CHOSEN, "It is a company.", None
    )
    return Measured(
        pair,
        chosen_mean,
        rejected_mean,
        0,
        answers,
        (False,) * len(answers),
        tuple(map(len, answers)),
        (Divergence(6.0, 4),),
    )


def value_of(found: Measured, metric: str) -> float | None:
    return next(value for name, value, _ in score_rows(found) if name == metric)


@pytest.mark.parametrize(("rejected", "accuracy"), [(-2.0, 1.0), (-0.5, 0.0), (-1.0, 0.5)])
def test_the_likelier_answer_decides_the_preference(rejected: float, accuracy: float) -> None:
    assert value_of(measured(-1.0, rejected), "preference_accuracy") == accuracy


def test_a_likelihood_that_is_not_finite_stays_visible() -> None:
    found = measured(length_normalized([-1.0, float("-inf")]), -1.0)
    assert math.isnan(value_of(found, "preference_accuracy") or 0.0)
    assert math.isnan(value_of(found, "preference_margin") or 0.0)


def test_every_answer_has_its_own_scores() -> None:
    rows = [
        row
        for row in score_rows(measured(-1.0, -2.0, CHOSEN, "It is a company."))
        if row[0] == "contrastive_similarity"
    ]
    assert [sample for _, _, sample in rows] == [0, 1]
    assert rows[0][1] > 0.5 > -0.5 > rows[1][1]


def test_tool_calls_count_only_where_the_correction_calls() -> None:
    assert tool_call_accuracy(CALL, CALL) == 1.0
    assert tool_call_accuracy("Nothing.", CALL) == 0.0
    assert 0.0 < tool_call_accuracy(CALL.replace("acme", "other"), CALL) < 1.0
    assert tool_call_accuracy(CALL, "Nothing.") is None
    assert tool_call_accuracy(CALL, "<tool_call>broken</tool_call>") is None


def test_lengths_are_compared_in_doublings_either_way() -> None:
    assert doublings("ab", "abcd") == doublings("abcd", "ab") == 1.0
    assert doublings("abc", "abd") == 0.0
    assert doublings("", "x" * 10_000) == 4.0


def test_the_distance_from_the_base_model_is_said_per_answer_and_per_token() -> None:
    found = measured(-1.0, -2.0, CHOSEN, "It is a company.")
    assert value_of(found, "kl_per_sequence") == 6.0
    assert value_of(found, "kl_per_token") == 1.5


@pytest.mark.parametrize(
    ("text", "reference", "wanted"),
    [
        ("Revenue grew by 40 %", "revenue GREW by 40!", 1.0),
        ("a b c d", "a x c y", 0.5),
        ("c a b", "a b c", 2 / 3),
        ("", "a", 0.0),
        ("...", "a", 0.0),
        ("収益が増えた", "収益は増えた", 10 / 12),
    ],
)
def test_words_shared_in_order_decide_the_word_similarity(text: str, reference: str, wanted: float) -> None:
    assert word_similarity(text, reference) == pytest.approx(wanted)


def test_the_longest_common_subsequence_is_that_of_the_textbook_table() -> None:
    source = random.Random(0)
    for _ in range(50):
        one, other = (source.choices("abc", k=source.randrange(1, 90)) for _ in range(2))
        table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
        for i, left in enumerate(one):
            for j, right in enumerate(other):
                table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
        assert longest_common(one, other) == table[-1][-1]


def test_no_learned_reward_and_no_judge_measures_a_policy() -> None:
    """What trained a policy would find that it trained well."""
    sources = list((Path(grpo_pipeline.__file__).parent / "evaluation").rglob("*.py"))
    assert len(sources) > 15
    lines = [line for path in sources for line in path.read_text().splitlines()]
    imports = [line for line in lines if line.startswith(("import", "from"))]
    assert not [line for line in imports if "reward_model" in line or "judge" in line or "rewards.catalog" in line]
    assert "word_similarity" not in REWARDS
