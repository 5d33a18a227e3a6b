"""The questions of the Berkeley Function-Calling Leaderboard and its own checker, from the package `bfcl-eval`.

For measuring only: nothing of it is ever trained on. Source: https://gorilla.cs.berkeley.edu/leaderboard.html.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import types
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from grpo_pipeline.conversation import Message, parse_tool_calls
from grpo_pipeline.errors import PipelineError

PACKAGE = "bfcl_eval"
IRRELEVANCE = "irrelevance"
CATEGORIES = ("simple_python", "multiple", "parallel", IRRELEVANCE, "live_simple")
# Tokens that the longest right answers of a category need, with room to spare.
LONGEST_ANSWER = {"parallel": 320, IRRELEVANCE: 96}
LONGEST_OTHER_ANSWER = 160
# The data names types as Python does, chat templates as JSON Schema does; the same mapping as the package's own.
JSON_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
CHECKER = f"{PACKAGE}.eval_checker.ast_eval.ast_checker"
CONFIGURED_MODELS = f"{PACKAGE}.constants.model_config"


@dataclass(frozen=True)
class BfclQuestion:
    """One question with the functions offered; `wanted` is empty where none of them fits."""

    id: str
    category: str
    prompt: tuple[Message, ...]
    functions: list[dict[str, Any]]
    wanted: list[dict[str, Any]]

    @property
    def tools(self) -> str:
        """The functions as the chat template wants them: a JSON list."""
        return json.dumps([_json_schema(function) for function in self.functions], ensure_ascii=False)

    @property
    def text(self) -> str:
        """What the user says."""
        return "\n".join(message["content"] for message in self.prompt if message["role"] == "user")

    @property
    def max_new_tokens(self) -> int:
        """How long an answer may be."""
        return LONGEST_ANSWER.get(self.category, LONGEST_OTHER_ANSWER)


def data_folder() -> Path:
    """Where the package's questions are.

    Raises:
        PipelineError: the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise PipelineError(
            "The benchmark's questions come with the package bfcl-eval, which is not installed: "
            "`pip install --no-deps bfcl-eval` (its dependencies, which are many, are not needed)."
        )
    return Path(places[0]) / "data"


def load_questions(categories: Sequence[str] = CATEGORIES, limit: int | None = None) -> list[BfclQuestion]:
    """The questions of some categories, the first so many of each.

    Raises:
        PipelineError: a category is not one of `CATEGORIES`, or the package is not installed.
    """
    unknown = sorted(set(categories) - set(CATEGORIES))
    if unknown:
        raise PipelineError(f"No category {', '.join(unknown)}: choose from {', '.join(CATEGORIES)}.")
    return [question for category in categories for question in _load(category)[:limit]]


def _load(category: str) -> list[BfclQuestion]:
    folder, name = data_folder(), f"BFCL_v4_{category}.json"
    answers: dict[str, list[dict[str, Any]]] = {}
    if category != IRRELEVANCE:
        answers = {row["id"]: row["ground_truth"] for row in _rows(folder / "possible_answer" / name)}
    return [
        BfclQuestion(row["id"], category, tuple(row["question"][0]), row["function"], answers.get(row["id"], []))
        for row in _rows(folder / name)
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _json_schema(part: Any) -> Any:  # noqa: ANN401
    if isinstance(part, list):
        return [_json_schema(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {name: _json_schema(value) for name, value in part.items()}
    if isinstance(kept.get("type"), str):
        kept["type"] = JSON_TYPES.get(kept["type"], kept["type"])
    return kept


def fault(question: BfclQuestion, answer: str) -> str | None:
    """Why the benchmark's checker refuses an answer, in its own words for the kind; None where it is right."""
    calls = parse_tool_calls(answer)
    if question.category == IRRELEVANCE:
        return "needless call" if calls else None
    if not calls:
        return "no call" if calls is not None else "malformed call"
    given = [{call.name: call.arguments} for call in calls]
    checker = _checker()
    language = importlib.import_module(f"{PACKAGE}.constants.enums").Language.PYTHON
    try:
        result = checker.ast_checker(
            question.functions, given, question.wanted, language, question.category, "grpo_pipeline"
        )
    except (TypeError, AttributeError, KeyError):
        # The checker reads nested values without looking at their types first.
        return "type_error:unreadable"
    return None if result["valid"] else str(result["error_type"])


def _checker() -> types.ModuleType:
    """The package's checker, without the clients of every provider that it would load to ask for one flag."""
    if CONFIGURED_MODELS not in sys.modules:
        models = types.ModuleType(CONFIGURED_MODELS)
        plain = types.SimpleNamespace(underscore_to_dot=False)
        cast(Any, models).MODEL_CONFIG_MAPPING = defaultdict(lambda: plain)
        sys.modules[CONFIGURED_MODELS] = models
    return importlib.import_module(CHECKER)
