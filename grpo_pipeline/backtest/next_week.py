"""What the week after brought: the pairs that a policy is scored on as if it had been in use then."""

from __future__ import annotations

import polars as pl

from grpo_pipeline.dataset.build import build_dataset
from grpo_pipeline.dataset.prompts import question_of
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.dataset.similar_prompts import similar_across
from grpo_pipeline.weeks import Week

# Whether a pair could have been known from training; what is left is new in every way.
SEEN_PERSON, SEEN_PROMPT = "seen_person", "seen_prompt"

NO_VOTES = pl.DataFrame(schema={"created_at": pl.Datetime("us", "UTC")})


def pairs_to_score(curated: pl.DataFrame, train: pl.DataFrame, week: Week, settings: DatasetSettings) -> pl.DataFrame:
    """A week's curated pairs in the dataset's form, each with what of it the policy saw in training.

    Args:
        curated: the columns of `pairs.parquet` of the week.
        train: the training pairs of the policy, as `train.parquet` holds them.
        week: the week that the pairs are of.
        settings: as for the dataset; the split's salt names the contributors.

    Returns:
        The dataset's columns with `seen_person` (one of its contributors gave a training pair) and `seen_prompt` (its
        prompt is a near-duplicate of a training pair's).
    """
    # All of them on one side, and none mined: what people corrected in that week, and nothing else.
    everything = settings.model_copy(
        update={
            "lookback_weeks": 1,
            "hold_out_by": "contributor",
            "held_out_fraction": 1.0,
            "mined_pairs_per_prompt": 0,
        }
    )
    pairs = build_dataset(curated.with_columns(week=pl.lit(week.key)), NO_VOTES, week, everything).held_out
    known = {*train["contributor"], *train["co_contributor"].drop_nulls()}
    asked = [question_of(messages) for messages in pairs["prompt"]]
    trained = list(dict.fromkeys(question_of(messages) for messages in train["prompt"]))
    similar = similar_across(list(dict.fromkeys(asked)), trained, settings.leak_similarity)
    return pairs.with_columns(
        pl.Series(SEEN_PERSON, [name in known for name in pairs["contributor"]], dtype=pl.Boolean),
        pl.Series(SEEN_PROMPT, [bool(similar.get(text)) for text in asked], dtype=pl.Boolean),
    )
