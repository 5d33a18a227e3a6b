"""Curation: which pairs and votes of a week are good enough to learn from, and why the others are not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import polars as pl

from grpo_pipeline.curation.contributors import distrusted, over_the_cap
from grpo_pipeline.curation.duplicates import (
    SIGNATURE_SCHEMA,
    contradictions,
    earlier_duplicates,
    earlier_near_duplicates,
    exact_duplicates,
    near_duplicates,
    with_comparable_texts,
    with_signatures,
)
from grpo_pipeline.curation.outvoted import outvoted, voices
from grpo_pipeline.curation.rules import PAIR_RULES, VOTE_RULES, failing_rows
from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.curation.sieve import Sieve
from grpo_pipeline.curation.text import with_clean_texts

PAIR_ANSWERS = ("chosen", "rejected")
VOTE_ANSWERS = ("response",)
VOTE_COLUMNS = ("id", "user_id", "created_at", "prompt", "response", "vote", "tools", "model_version")
VOTE_TYPES = ("thumbs_up", "thumbs_down", "rating")
# What speaks against a contributor; being contradicted does not, or else anyone could silence another one by it.
SUSPECT = ("outvoted", "repeated_answer", "mislabeled")
POISONING_RULES = (*SUSPECT, "distrusted_contributor")


@dataclass(frozen=True)
class Curated:
    """A week's curated feedback.

    pairs: the kept pairs, texts cleaned and redacted, with `flags` (what was changed in them).
    votes: the kept thumbs and ratings, as `up` or `down`.
    quarantine: id, table, rule, detail, week, user_id of everything set aside, each row once, no text.
    signatures: what later weeks compare their pairs with (`SIGNATURE_SCHEMA`).
    counts: rows by table: `<table>.read` is `<table>.kept` plus every `<table>.<rule>`; `redacted.<kind>` counts
        the pieces of personal data replaced.
    """

    pairs: pl.DataFrame
    votes: pl.DataFrame
    quarantine: pl.DataFrame
    signatures: pl.DataFrame
    counts: dict[str, int]


def curate(pairs: pl.DataFrame, feedback: pl.DataFrame, earlier: pl.DataFrame, settings: CurationSettings) -> Curated:
    """Keep what is good enough to learn from; the order of rows changes nothing.

    Args:
        pairs: rows of `preference_pairs` with the `score` of their feedback.
        feedback: rows of `agent_feedback`; of these, thumbs and ratings become votes.
        earlier: `signatures` of the earlier weeks' curated pairs, one below the other; may be empty.
        settings: the rules' settings.
    """
    redacted: Counter[str] = Counter()
    known = earlier if earlier.width else pl.DataFrame(schema=SIGNATURE_SCHEMA)
    vote_sieve = _sift_votes(feedback, settings, redacted)
    pair_sieve = _sift_pairs(pairs, vote_sieve.kept, known, settings, redacted)
    return Curated(
        pairs=pair_sieve.kept.select(*pairs.columns, "flags"),
        votes=vote_sieve.kept.select(VOTE_COLUMNS),
        quarantine=pl.concat([pair_sieve.quarantine, vote_sieve.quarantine]).sort("table", "id"),
        signatures=pair_sieve.kept.select(SIGNATURE_SCHEMA.keys()).sort("id"),
        counts={
            **pair_sieve.counts(),
            **vote_sieve.counts(),
            **{f"redacted.{kind}": count for kind, count in sorted(redacted.items())},
        },
    )


def _sift_pairs(
    pairs: pl.DataFrame,
    votes: pl.DataFrame,
    earlier: pl.DataFrame,
    settings: CurationSettings,
    redacted: Counter[str],
) -> Sieve:
    sieve = Sieve(pairs, "preference_pairs")
    sieve.kept = with_clean_texts(sieve.kept, PAIR_ANSWERS)
    sieve.log("clean_texts")
    sieve.set_aside(failing_rows(sieve.kept, PAIR_RULES, settings, PAIR_ANSWERS), "row_rules")
    sieve.kept = _redacted(sieve.kept, PAIR_ANSWERS, settings, redacted)
    sieve.log("personal_data")
    # Compared after redaction, so that no hash of personal data is kept, and a second run changes nothing.
    sieve.kept = with_comparable_texts(sieve.kept)
    sieve.log("comparable_texts")
    sieve.set_aside(_unchanged(sieve.kept), "unchanged")
    sieve.set_aside(_copied_prompt(sieve.kept, settings.copied_prompt_share), "copied_prompt")
    # Who says the same as another one is set aside below, but is one more voice for it.
    said = voices(sieve.kept, votes)
    sieve.set_aside(exact_duplicates(sieve.kept), "exact_duplicate")
    sieve.set_aside(earlier_duplicates(sieve.kept, earlier), "earlier_duplicate")
    sieve.kept = with_signatures(sieve.kept)
    sieve.log("signatures")
    threshold = settings.near_duplicate_similarity
    sieve.set_aside(near_duplicates(sieve.kept, threshold), "near_duplicate")
    sieve.set_aside(earlier_near_duplicates(sieve.kept, earlier, threshold), "earlier_near_duplicate")
    sieve.set_aside(contradictions(sieve.kept, earlier, threshold), "contradiction")
    _set_aside_suspects(sieve, said, earlier, settings)
    capped = over_the_cap(sieve.kept, settings.max_contributor_share, settings.contributor_floor)
    sieve.set_aside(capped, "contributor_cap")
    return sieve


def _set_aside_suspects(sieve: Sieve, said: pl.DataFrame, earlier: pl.DataFrame, settings: CurationSettings) -> None:
    """Set aside what looks like an attack on the training data, unless a person approved it."""
    # They load scipy, which the code location does without: not before a week needs it.
    from grpo_pipeline.curation.mislabeled import mislabeled
    from grpo_pipeline.curation.repeated_answers import repeated_answers

    approved = pl.col("review_status").eq_missing("approved")
    sieve.set_aside(outvoted(sieve.kept.filter(~approved), said, settings.outvoted_margin), "outvoted")
    sieve.set_aside(repeated_answers(sieve.kept.filter(~approved), earlier, settings), "repeated_answer")
    sieve.set_aside(mislabeled(sieve.kept.filter(~approved), settings), "mislabeled")
    suspect = sieve.quarantine.filter(pl.col("rule").is_in(SUSPECT))
    rest = sieve.kept.filter(~approved)
    sieve.set_aside(distrusted(rest, suspect, settings.distrusted_share, settings.distrusted_pairs), "distrusted")


def _sift_votes(feedback: pl.DataFrame, settings: CurationSettings, redacted: Counter[str]) -> Sieve:
    given = feedback.filter(pl.col("feedback_type").is_in(VOTE_TYPES))
    rating = pl.when(pl.col("feedback_type") == "rating").then(pl.col("score"))
    up = (pl.col("feedback_type") == "thumbs_up") | (rating >= settings.up_score)
    down = (pl.col("feedback_type") == "thumbs_down") | (rating <= settings.down_score)
    vote = pl.when(up).then(pl.lit("up")).when(down).then(pl.lit("down"))
    sieve = Sieve(given.with_columns(vote=vote), "agent_feedback")
    sieve.kept = with_clean_texts(sieve.kept, VOTE_ANSWERS)
    sieve.set_aside(failing_rows(sieve.kept, VOTE_RULES, settings, VOTE_ANSWERS), "row_rules")
    sieve.kept = _redacted(sieve.kept, VOTE_ANSWERS, settings, redacted)
    sieve.log("personal_data")
    again = ~pl.struct("user_id", "prompt", "response", "vote").is_first_distinct()
    repeated = sieve.kept.filter(again & pl.col("user_id").is_not_null())
    sieve.set_aside(
        repeated.select("row", rule=pl.lit("exact_duplicate"), detail=pl.lit("same vote")), "exact_duplicate"
    )
    return sieve


def _redacted(
    rows: pl.DataFrame, answers: tuple[str, ...], settings: CurationSettings, redacted: Counter[str]
) -> pl.DataFrame:
    if not settings.redact:
        return rows.with_columns(flags=pl.lit([], dtype=pl.List(pl.String)))
    # Loading its libraries takes longer than all the rest of this stage's code: not before a week needs them.
    from grpo_pipeline.curation.personal_data import with_redacted_texts

    replaced, counts = with_redacted_texts(rows, answers, settings.phone_regions)
    redacted.update(counts)
    return replaced


def _unchanged(pairs: pl.DataFrame) -> pl.DataFrame:
    same = pairs.filter(pl.col("chosen_digest") == pl.col("rejected_digest"))
    return same.select("row", rule=pl.lit("unchanged"), detail=pl.lit("chosen, rejected"))


def _copied_prompt(pairs: pl.DataFrame, share: float) -> pl.DataFrame:
    prompt, chosen = pl.col("same_prompt"), pl.col("same_chosen")
    mostly = prompt.str.len_chars() >= share * chosen.str.len_chars()
    copied = pairs.filter(mostly).filter(chosen.str.starts_with(prompt))
    return copied.select("row", rule=pl.lit("copied_prompt"), detail=pl.lit("chosen"))
