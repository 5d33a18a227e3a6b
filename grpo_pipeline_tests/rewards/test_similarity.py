import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.chrf import CHRF

from grpo_pipeline.rewards.similarity import chrf, closeness, similarity

CHOSEN = "Ramp raised 300M at a 13B valuation; card volume grew 80% in 2024."
REJECTED = "Ramp is a fintech company that offers corporate cards to businesses."


def test_an_answer_nearer_to_the_correction_scores_higher() -> None:
    answers = [
        CHOSEN,
        "Ramp raised 300M at a 13B valuation.",
        "Ramp is a company with cards.",
        REJECTED,
    ]
    scores = similarity(answers, chosen=[CHOSEN] * 4, rejected=[REJECTED] * 4)
    assert scores == sorted(scores, key=lambda score: -(score or 0.0))
    assert scores[0] == pytest.approx(-(scores[3] or 0.0), abs=0.05)
    assert (scores[0] or 0.0) > 0.5 > 0 > (scores[2] or 0.0)


def test_a_pair_of_equal_answers_gives_no_direction() -> None:
    assert similarity(["anything"], chosen=["same"], rejected=["same"]) == [None]


def test_closeness_lifts_a_fair_answer_above_unrelated_text() -> None:
    fair, unrelated = "Ramp is a fintech company with a 13B valuation.", "qqqq zzzz"
    contrast = similarity([fair, unrelated], chosen=[CHOSEN] * 2, rejected=[REJECTED] * 2)
    near = closeness([fair, unrelated], chosen=[CHOSEN] * 2)
    totals = [(a or 0.0) + (b or 0.0) for a, b in zip(contrast, near, strict=True)]
    assert near[0] is not None
    assert near[0] > 0.2
    assert near[1] == 0.0
    assert totals[0] > totals[1] - 0.05


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_blank_text_is_like_nothing(text: str) -> None:
    assert chrf(text, CHOSEN) == 0.0
    assert chrf(CHOSEN, text) == 0.0


@given(st.text(max_size=60), st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60))
def test_scores_stay_in_their_range(answer: str, chosen: str, rejected: str) -> None:
    (contrast,) = similarity([answer], chosen=[chosen], rejected=[rejected])
    (near,) = closeness([answer], chosen=[chosen])
    assert contrast is None or -1.0 <= contrast <= 1.0
    assert near is not None
    assert 0.0 <= near <= 1.0


def test_similarity_is_the_published_metric() -> None:
    expected = CHRF(char_order=6, word_order=0, beta=2).sentence_score("the cat sat", ["the cat sat down"]).score
    assert chrf("the cat sat", "the cat sat down") == pytest.approx(expected / 100)
