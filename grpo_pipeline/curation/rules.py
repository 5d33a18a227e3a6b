"""The rules that look at one row alone, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.curation.text import broken_characters

Answers = tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """Why a row is set aside: a name, a sentence for people, and per column the expression that is true of bad rows.

    `failing` gets the settings and the answer columns, the kept side first; its keys become the quarantine's detail.
    """

    name: str
    description: str
    failing: Callable[[CurationSettings, Answers], dict[str, pl.Expr]]


def _not_approved(settings: CurationSettings, answers: Answers) -> dict[str, pl.Expr]:
    status = pl.col("review_status").fill_null("pending")
    refused = status == "rejected" if settings.review == "auto" else status != "approved"
    return {"review_status": refused}


def _missing_text(settings: CurationSettings, answers: Answers) -> dict[str, pl.Expr]:
    return {name: pl.col(_read(name)).fill_null("") == "" for name in ("prompt", *answers)}


def _invalid_tools(settings: CurationSettings, answers: Answers) -> dict[str, pl.Expr]:
    return {"tools": pl.col("tools_broken")}


def _broken_encoding(settings: CurationSettings, answers: Answers) -> dict[str, pl.Expr]:
    return {
        name: broken_characters(pl.col(_read(name))) > settings.max_broken_characters
        for name in ("prompt", *answers, "tools")
    }


def _too_short(settings: CurationSettings, answers: Answers) -> dict[str, pl.Expr]:
    return {name: pl.col(_read(name)).str.len_chars() < settings.min_chars for name in ("prompt", answers[0])}


def _too_long(settings: CurationSettings, answers: Answers) -> dict[str, pl.Expr]:
    longest = settings.context_tokens * settings.characters_per_token
    shared = pl.col("plain_prompt").str.len_chars() + pl.col("tools").str.len_chars().fill_null(0)
    return {f"prompt and {name}": shared + pl.col(name).str.len_chars() > longest for name in answers}


def _low_score(settings: CurationSettings, answers: Answers) -> dict[str, pl.Expr]:
    # The score given with an edit rates the answer that the edit replaced, which is the rejected side.
    return {"score": (pl.col("source") != "edit").fill_null(True) & (pl.col("score") < settings.min_score)}


def _no_clear_vote(settings: CurationSettings, answers: Answers) -> dict[str, pl.Expr]:
    return {"score": pl.col("vote").is_null()}


def _read(name: str) -> str:
    return "plain_prompt" if name == "prompt" else name


NOT_APPROVED = Rule("not_approved", "A person rejected the pair, or has yet to approve it.", _not_approved)
MISSING_TEXT = Rule("missing_text", "The prompt or an answer is missing or blank.", _missing_text)
INVALID_TOOLS = Rule("invalid_tools", "The tools are not a JSON list of objects.", _invalid_tools)
BROKEN_ENCODING = Rule("broken_encoding", "A text was decoded wrongly or holds control characters.", _broken_encoding)
TOO_SHORT = Rule("too_short", "The prompt or the kept answer is too short to learn from.", _too_short)
TOO_LONG = Rule("too_long", "Prompt, tools and answer do not fit into the model's context.", _too_long)
LOW_SCORE = Rule("low_score", "The kept answer has a low score.", _low_score)
NO_CLEAR_VOTE = Rule("no_clear_vote", "The rating is missing or neither high nor low.", _no_clear_vote)

PAIR_RULES = (NOT_APPROVED, MISSING_TEXT, INVALID_TOOLS, BROKEN_ENCODING, TOO_SHORT, TOO_LONG, LOW_SCORE)
VOTE_RULES = (NO_CLEAR_VOTE, MISSING_TEXT, INVALID_TOOLS, BROKEN_ENCODING, TOO_SHORT, TOO_LONG)


def failing_rows(
    frame: pl.DataFrame, rules: Sequence[Rule], settings: CurationSettings, answers: Answers
) -> pl.DataFrame:
    """`row`, `rule` and `detail` (the columns at fault) of every row that fails, by the first rule it fails."""
    names, details = [], []
    for rule in rules:
        faults = {column: fails.fill_null(False) for column, fails in rule.failing(settings, answers).items()}
        named = [pl.when(fails).then(pl.lit(column)) for column, fails in faults.items()]
        fails = pl.any_horizontal(*faults.values())
        names.append(pl.when(fails).then(pl.lit(rule.name)))
        details.append(pl.when(fails).then(pl.concat_str(named, separator=", ", ignore_nulls=True)))
    found = frame.select("row", rule=pl.coalesce(names), detail=pl.coalesce(details))
    return found.filter(pl.col("rule").is_not_null())
