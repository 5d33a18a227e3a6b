from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from grpo_pipeline.feedback.importing.drafts import FeedbackDraft, check_draft
from grpo_pipeline.feedback.importing.identity import RowIds, spread_time
from grpo_pipeline.weeks import Week, weeks_between

WEEKS = weeks_between(Week("2026-08-31"), Week("2026-11-16"))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1).filter(str.strip)
ROWS = st.builds(
    lambda prompt, response: check_draft(
        FeedbackDraft(prompt, response, "thumbs_up"), datetime(2026, 11, 23, tzinfo=UTC)
    ),
    TEXTS,
    TEXTS,
)


@given(st.lists(ROWS, max_size=8), st.randoms())
def test_ids_are_distinct_repeat_and_do_not_depend_on_the_order(rows: list, random: object) -> None:
    def ids(of: list) -> list:
        given_out = RowIds()
        return [given_out.next(row) for row in of]

    doubled = rows + rows
    first = ids(doubled)
    assert len(set(first)) == len(doubled)
    assert ids(doubled) == first
    shuffled = list(doubled)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert set(ids(shuffled)) == set(first)
    assert set(ids(rows)) <= set(first)


@given(st.uuids(), st.integers(1, 12))
def test_times_repeat_and_lie_within_the_weeks(row_id: object, count: int) -> None:
    weeks = WEEKS[:count]
    moment = spread_time(row_id, weeks)  # type: ignore[arg-type]
    assert moment == spread_time(row_id, weeks)  # type: ignore[arg-type]
    assert Week.containing(moment) in weeks


def test_many_rows_cover_the_weeks_evenly() -> None:
    ids = RowIds()
    row = check_draft(FeedbackDraft("p", "r", "thumbs_up"), datetime(2026, 11, 23, tzinfo=UTC))
    counts = dict.fromkeys(WEEKS, 0)
    for _ in range(2_400):
        counts[Week.containing(spread_time(ids.next(row), WEEKS))] += 1
    assert min(counts.values()) > 140
    assert max(counts.values()) < 260
