"""Ranks the group on standard input, in a process that can be stopped: long answers can take very long to compare."""

from __future__ import annotations

import json
import sys

from grpo_pipeline.server.ranking.rank import rank
from grpo_pipeline.server.ranking.schema import RankingBody


def main() -> None:
    """Read a group with its weights as JSON and write its ranking."""
    asked = json.load(sys.stdin)
    body, sampled = RankingBody.model_validate(asked["body"]), asked["sampled"]
    texts, cut = (sampled["texts"], sampled["cut"]) if sampled else (body.responses or [], None)
    ranking = rank(body, texts, asked["weights"], asked["scale"], cut)
    if sampled:
        named = [item.model_copy(update={"text": texts[item.index]}) for item in ranking.responses]
        ranking = ranking.model_copy(update={"responses": named, "model_version": sampled["model_version"]})
    sys.stdout.write(ranking.model_dump_json(by_alias=True))


if __name__ == "__main__":
    main()
