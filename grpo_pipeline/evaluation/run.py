"""One evaluation from its config to its files: scores, answers and the verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from transformers import PreTrainedTokenizerBase

from grpo_pipeline.artifacts import file_digest, write_atomically
from grpo_pipeline.evaluation.config import EvaluationRun, Sizes, resolve_sizes
from grpo_pipeline.evaluation.measure import EncodedPair, encode, measure_all
from grpo_pipeline.evaluation.models import Contender, Loaded, contenders
from grpo_pipeline.evaluation.pairs import HeldOutPair, read_pairs
from grpo_pipeline.evaluation.parts import Part, Parts, key, make_part, write_table
from grpo_pipeline.evaluation.probing import answer_probes
from grpo_pipeline.evaluation.progress import Progress
from grpo_pipeline.gates.contest import hold_contest
from grpo_pipeline.gates.report import contest_json
from grpo_pipeline.gates.verdict import PromotionVerdict, promotion_verdict
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.loading import end_tokens, load_tokenizer
from grpo_pipeline.training.profiles import detect_hardware
from grpo_pipeline.training.watching import Watcher
from grpo_pipeline.verdict import Verdict

SCORES = "scores.parquet"
ANSWERS = "answers.parquet"
EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class _Encoded:
    """The held-out pairs for every base model: the same pairs for all."""

    tokenizers: dict[BaseModel, PreTrainedTokenizerBase]
    pairs: dict[BaseModel, list[EncodedPair]]
    left_out: int


def evaluate(run: EvaluationRun, watcher: Watcher) -> Verdict:
    """Measure base, incumbent and candidates, write the output folder, and return the verdict.

    A model that was finished in an earlier attempt on the same inputs is not measured again.

    Raises:
        PipelineError: a model, an adapter or the held-out pairs cannot be used.
    """
    sizes = resolve_sizes(run.settings, detect_hardware())
    players = contenders(run)
    facts = {"sizes": sizes.model_dump(), "held_out": file_digest(run.held_out)}
    identities = {player.name: player.identity() for player in players}
    facts_of_all = {"models": identities, "methods": run.candidates, "settings": run.settings.model_dump()}
    whole = key({**facts, **facts_of_all, "look": run.look})
    done = _finished(run.output_dir / EVALUATION, whole)
    if done:
        return done
    held_out_pairs = pl.scan_parquet(run.held_out).select(pl.len()).collect().item()
    encoded = _encode(read_pairs(run.held_out, sizes.max_pairs), players, sizes)
    kept = next(iter(encoded.pairs.values()))
    watcher.note(f"Evaluating {', '.join(identities)} on {len(kept)} held-out pairs; {encoded.left_out} are too long")
    run.output_dir.mkdir(parents=True, exist_ok=True)
    keys = {name: key({**facts, "model": identity}) for name, identity in identities.items()}
    if kept:
        parts = _measure_players(players, encoded, sizes, keys, Parts(run.output_dir), watcher)
    else:
        parts = {player.name: make_part(player.name, []) for player in players}
    scores = pl.concat([parts[player.name].scores for player in players])

    def judge(own: pl.DataFrame, rivals: int) -> PromotionVerdict:
        return promotion_verdict(own, run.settings, run.look, rivals)

    contest = hold_contest(scores, run.candidates, judge, run.settings.primary_metrics[0])
    write_table(scores, run.output_dir / SCORES)
    write_table(pl.concat([parts[player.name].answers for player in players]), run.output_dir / ANSWERS)
    content = {
        **contest_json(contest),
        "too_long": encoded.left_out,
        "over_the_cap": max(0, held_out_pairs - sizes.max_pairs),
        "models": identities,
        "sizes": sizes.model_dump(),
        "key": whole,
    }
    write_atomically(run.output_dir / EVALUATION, json.dumps(content, indent=2, allow_nan=False))
    Parts(run.output_dir).clear()
    return contest.verdict


def _finished(path: Path, whole: str) -> Verdict | None:
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return Verdict(**content["verdict"]) if content["key"] == whole else None


def _encode(pairs: list[HeldOutPair], players: list[Contender], sizes: Sizes) -> _Encoded:
    tokenizers = {base: load_tokenizer(base) for base in dict.fromkeys(player.base for player in players)}
    encoded = {base: [encode(tokenizer, pair, sizes) for pair in pairs] for base, tokenizer in tokenizers.items()}
    too_long = {
        item.pair.id for items in encoded.values() for item in items if len(item.prompt) > sizes.max_prompt_tokens
    }
    kept = {base: [item for item in items if item.pair.id not in too_long] for base, items in encoded.items()}
    return _Encoded(tokenizers, kept, len(too_long))


def _measure_players(
    players: list[Contender],
    encoded: _Encoded,
    sizes: Sizes,
    keys: dict[str, str],
    store: Parts,
    watcher: Watcher,
) -> dict[str, Part]:
    cost = {base: sum(item.cost(sizes) for item in items) for base, items in encoded.pairs.items()}
    progress = Progress(watcher, sum(cost[player.base] for player in players))
    parts: dict[str, Part] = {}
    for base in encoded.pairs:
        own = [player for player in players if player.base == base]
        loaded: Loaded | None = None
        for player in own:
            part = store.load(player.name, keys[player.name])
            if part is not None:
                progress.skip(cost[base])
                parts[player.name] = part
                continue
            if loaded is None:
                loaded = Loaded(base, own, sizes.dtype)
            parts[player.name] = _measure_player(player, loaded, encoded, sizes, progress)
            store.save(player.name, keys[player.name], parts[player.name])
    return parts


def _measure_player(player: Contender, loaded: Loaded, encoded: _Encoded, sizes: Sizes, progress: Progress) -> Part:
    pairs = encoded.pairs[player.base]
    tokenizer = encoded.tokenizers[player.base]
    measured = []
    with loaded.play(player) as played:
        for batch, cost in measure_all(played, tokenizer, pairs, sizes):
            measured += batch
            progress.advance(cost, player.name, len(measured), len(pairs))
        probed = answer_probes(played.model, tokenizer, sizes, end_tokens(played.model, tokenizer))
    return make_part(player.name, measured, probed)
