from pathlib import Path

import polars as pl
import pytest

from grpo_pipeline.benchmark.bfcl import BfclQuestion, load_questions
from grpo_pipeline.benchmark.report import report, write_questions
from grpo_pipeline.cli.benchmark import chosen_respondents, show
from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.answer_config import Respondent, answers_file
from grpo_pipeline_tests.benchmark.test_bfcl import right_answer

MODELS = tuple(Respondent(name=name, base_model="tiny-qwen3") for name in ("base", "warm_start", "grpo"))


@pytest.fixture
def questions() -> list[BfclQuestion]:
    pytest.importorskip("bfcl_eval", reason="the benchmark's package is not installed")
    return load_questions(["simple_python", "irrelevance"], 10)


def answered(folder: Path, name: str, answers: dict[str, str]) -> None:
    rows = {"id": list(answers), "answer": list(answers.values()), "cut": [False] * len(answers)}
    pl.DataFrame(rows).write_parquet(answers_file(folder, name))


def test_each_model_is_compared_with_the_one_before(questions: list[BfclQuestion], tmp_path: Path) -> None:
    assert len(pl.read_parquet(write_questions(questions, tmp_path))) == 20
    silent = {item.id: "No." for item in questions}
    right = {item.id: right_answer(item) for item in questions}
    half = {**silent, **{item.id: right[item.id] for item in questions[:5]}}
    for model, answers in zip(MODELS, (silent, half, right), strict=True):
        answered(tmp_path, model.name, answers)
    found = report(questions, MODELS, tmp_path)
    shares = {name: row["simple_python"]["right"] for name, row in found["shares"].items()}
    assert shares == {"base": 0, "warm_start": 5, "grpo": 10}
    assert {row["irrelevance"]["right"] for row in found["shares"].values()} == {10}
    said = {name: sum(share["n"] for share in row.values()) for name, row in found["said"].items()}
    assert said == {"base": 10, "warm_start": 10, "grpo": 10}
    assert sum(share["right"] for share in found["said"]["warm_start"].values()) == 5
    gained = found["differences"]["grpo minus warm_start"]["simple_python"]
    assert (gained["gained"], gained["lost"], gained["n"], gained["difference"]) == (5, 0, 10, 0.5)
    assert found["faults"]["base"] == {"simple_python": {"no call": 10}}


def test_the_table_says_when_answers_were_sampled(
    questions: list[BfclQuestion], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_questions(questions, tmp_path)
    answered(tmp_path, "base", {item.id: "No." for item in questions})
    found = report(questions, MODELS[:1], tmp_path)
    show({"temperature": 0.0, **found})
    assert "temperature" not in capsys.readouterr().out
    show({"temperature": 0.7, **found})
    assert "sampled at temperature 0.7" in " ".join(capsys.readouterr().out.split())


def test_adapters_are_named_or_those_of_the_last_policy(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    named = chosen_respondents(settings, ["mine=adapters/one"])
    assert [item.name for item in named] == ["base", "mine"]
    assert named[1].adapter == Path("adapters/one").absolute()
    with pytest.raises(PipelineError, match="write it as NAME=FOLDER"):
        chosen_respondents(settings, ["adapters/one"])
    with pytest.raises(PipelineError, match="No tool_calling_policy was trained yet"):
        chosen_respondents(settings, None)
