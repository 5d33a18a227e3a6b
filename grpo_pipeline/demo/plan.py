"""Twelve weeks of feedback, row by row: who said what when, and which faults are planted among it.

Everything here follows from one seed. What the agent answered is left open as `SAMPLED`, to be filled with answers
that are really drawn from a model.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from grpo_pipeline.conversation import plain_text
from grpo_pipeline.demo.companies import Company, made_up_companies
from grpo_pipeline.demo.faults import personal_data_notes, plant_broken_encoding, reworded
from grpo_pipeline.demo.texts import Case, make_case

FeedbackType = Literal["thumbs_up", "thumbs_down", "rating", "edit", "comment"]

SEED = 20260105
WEEKS = 12
CONTRIBUTORS = 44
COMPANIES = 260
SPAMMER = "spammer"
SPAM_WEEK = 7
SPAM_ROWS = 28
CLEAN_EDITS = 36
# Stands for the agent's answer until one is sampled.
SAMPLED = "{sampled answer}"

DAY = 24 * 3600
# Fresh questions share less than this part of their five-letter pieces, so that they are not near-duplicates.
MOST_ALIKE = 0.5


@dataclass(frozen=True)
class Row:
    """One piece of feedback.

    `week` counts from the oldest, `second` from the week's start. `planted` names the fault or the role that the row
    was put there for, None for an ordinary row.
    """

    week: int
    second: int
    contributor: str | None
    feedback_type: FeedbackType
    prompt: str
    response: str = SAMPLED
    corrections: str | None = None
    score: int | None = None
    tools: tuple[str, ...] = ()
    comment: str | None = None
    planted: str | None = None


class Planner:
    """Draws rows week by week; the same seed draws the same rows."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.companies: list[Company] = made_up_companies(self.rng, COMPANIES)
        self.personal_data = personal_data_notes(self.rng)
        self.shingles: list[frozenset[str]] = []
        self.earlier: list[Row] = []

    def weeks(self) -> Iterator[Row]:
        """All rows, in the order in which they arrived."""
        for week in range(WEEKS):
            rows = sorted(self._week(week), key=lambda row: row.second)
            self.earlier.extend(row for row in rows if row.planted is None and row.feedback_type == "edit")
            yield from rows

    def _week(self, week: int) -> Iterator[Row]:
        edits = [self._edit(week) for _ in range(CLEAN_EDITS + self.rng.randint(0, 3))]
        yield from (self._with_personal_data(row) if index < 3 else row for index, row in enumerate(edits))
        for _ in range(2):
            yield from self._votes_on_one_prompt(week)
        yield from self._other_feedback(week)
        yield from self._faults(week, edits[3:])
        if week == SPAM_WEEK:
            yield from (self._spam(week) for _ in range(SPAM_ROWS))

    def _fresh_case(self) -> Case:
        """A question unlike all earlier ones."""
        while True:
            case = make_case(self.rng, self.companies)
            text = plain_text(case.prompt).lower()
            pieces = frozenset(text[start : start + 5] for start in range(max(1, len(text) - 4)))
            if all(len(pieces & other) < MOST_ALIKE * len(pieces | other) for other in self.shingles):
                self.shingles.append(pieces)
                return case

    def _contributor(self) -> str | None:
        """A few write a lot, many write a little, some are not signed in."""
        if self.rng.random() < 0.03:
            return None
        weights = [(rank + 4) ** -0.7 for rank in range(CONTRIBUTORS)]
        return f"contributor-{self.rng.choices(range(CONTRIBUTORS), weights)[0]:02d}"

    def _second(self) -> int:
        """Mostly in working hours on weekdays; never in the last day, so that a copy fits behind."""
        day = self.rng.choices(range(6), (5, 5, 5, 5, 4, 1))[0]
        return day * DAY + self.rng.randint(7 * 3600, 19 * 3600)

    def _row(self, week: int, feedback_type: FeedbackType, case: Case) -> Row:
        return Row(week, self._second(), self._contributor(), feedback_type, case.prompt, tools=case.tools)

    def _edit(self, week: int) -> Row:
        case = self._fresh_case()
        # How good the answer was that had to be corrected.
        score = self.rng.choices((1, 2, 3, None), (35, 35, 15, 15))[0]
        return replace(self._row(week, "edit", case), corrections=case.correction, score=score)

    def _with_personal_data(self, row: Row) -> Row:
        """The same feedback with personal data noted in it: in the correction, the question or both.

        A call stays a call and a conversation stays JSON.
        """
        kind, note = next(self.personal_data)
        planted = f"personal_data:{kind}"
        asked = row.prompt if row.prompt.startswith("[") else f"{row.prompt} ({note})"
        if row.tools:
            return replace(row, prompt=asked, planted=planted)
        prompt = asked if self.rng.random() < 0.5 else row.prompt
        return replace(row, prompt=prompt, corrections=f"{row.corrections}\n- Note: {note}", planted=planted)

    def _votes_on_one_prompt(self, week: int) -> Iterator[Row]:
        """A thin answer voted down and a full one voted up: a pair to be mined."""
        case = self._fresh_case()
        yield replace(self._row(week, "thumbs_down", case), planted="votes_on_one_prompt")
        yield replace(self._row(week, "thumbs_up", case), response=case.correction, planted="votes_on_one_prompt")

    def _other_feedback(self, week: int) -> Iterator[Row]:
        """Votes, ratings and comments on questions that nobody else gave feedback on."""
        for _ in range(2):
            yield self._row(week, "thumbs_down", self._fresh_case())
        yield self._row(week, "thumbs_up", self._fresh_case())
        for score in (self.rng.randint(1, 2), self.rng.randint(2, 4), self.rng.randint(3, 5)):
            yield replace(self._row(week, "rating", self._fresh_case()), score=score)
        for comment in self.rng.sample(("Too vague.", "Where are the figures?", "Good start.", "Names no source."), 2):
            yield replace(self._row(week, "comment", self._fresh_case()), comment=comment)

    def _faults(self, week: int, edits: list[Row]) -> Iterator[Row]:
        originals = self.rng.sample([row for row in edits if not row.tools and not row.prompt.startswith("[")], 2)
        yield self._later(originals[0], planted="exact_duplicate")
        yield reworded(self.rng, self._later(originals[1], planted="near_duplicate"))
        if self.earlier:
            candidates = [row for row in self.earlier if not row.tools and not row.prompt.startswith("[")]
            old = [replace(row, week=week) for row in self.rng.sample(candidates, 2)]
            yield self._later(old[0], planted="exact_duplicate_of_earlier_week")
            yield reworded(self.rng, self._later(old[1], planted="near_duplicate_of_earlier_week"))
        blank = "   \n " if week % 2 else "\u200b \u00a0"
        yield replace(self._edit(week), corrections=blank, planted="blank_correction")
        yield replace(self._edit(week), corrections=self.rng.choice(("ok", "no", "+1")), planted="too_short")
        copied = self._edit(week)
        yield replace(copied, corrections=plain_text(copied.prompt), planted="copied_prompt")
        if week % 2:
            yield plant_broken_encoding(self._edit(week))
        if week % 2 == 0:
            yield from self._contradiction(week)
        if week % 3 == 0:
            yield replace(self._edit(week), corrections=f" {SAMPLED}\n", planted="unchanged")

    def _later(self, row: Row, planted: str) -> Row:
        """The same feedback once more, at most a day later, by somebody else."""
        second = row.second + self.rng.randint(60, DAY - 60)
        return replace(row, second=second, contributor=self._contributor(), planted=planted)

    def _contradiction(self, week: int) -> Iterator[Row]:
        """Two people who correct each other's answer to the same question into its opposite."""
        one = replace(self._edit(week), planted="contradiction")
        yield one
        yield replace(self._later(one, planted="contradiction"), response=one.corrections or "", corrections=SAMPLED)

    def _spam(self, week: int) -> Row:
        """Advertising instead of a correction, always by the same contributor."""
        edit = self._edit(week)
        name = plain_text(edit.prompt).split("@")[-1].split()[0].strip("?,.:")
        praise = self.rng.sample(
            ("best", "great", "huge", "wow", "top", "buy", "now", "deal", "cheap", "hot", "win"), 7
        )
        text = (
            f"{name}? {' '.join(praise)}!!! Only at winner-{self.rng.randint(100, 999)}.example {' '.join(praise[:3])}"
        )
        return replace(edit, contributor=SPAMMER, corrections=text, tools=(), planted="spam")


def plan(seed: int = SEED) -> list[Row]:
    """Every row of the sample, oldest first."""
    return list(Planner(seed).weeks())
