import json
from pathlib import Path

import polars as pl
import pytest
import torch

from grpo_pipeline.evaluation.answer import main
from grpo_pipeline.evaluation.answer_config import answers_file
from grpo_pipeline.evaluation.answering import Question, answered
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.loading import load_policy, load_tokenizer, render_prompt
from grpo_pipeline.training.profiles import TINY_QWEN3
from grpo_pipeline.training.rollouts import GREEDY

PROMPTS = ["Book a table.", "What is 3 times 7?", "Hello, hello, hello, hello", "x"]
LONGEST = 12


def test_answers_are_those_of_a_prompt_alone_whatever_stands_beside_it(tmp_path: Path) -> None:
    base = locate_base_model(TINY_QWEN3, tmp_path)
    tokenizer, model = load_tokenizer(base), load_policy(base)
    prompts = [
        tokenizer(render_prompt(tokenizer, [{"role": "user", "content": text}]))["input_ids"] for text in PROMPTS
    ]
    questions = [Question(str(place), tuple(ids), LONGEST) for place, ids in enumerate(prompts)]
    found = {answer.id: answer.text for batch in answered(model, tokenizer, questions, 3, GREEDY) for answer in batch}
    for place, ids in enumerate(prompts):
        alone = model.generate(torch.tensor([ids]), max_new_tokens=LONGEST, do_sample=False)[0, len(ids) :]
        assert found[str(place)] == tokenizer.decode(alone, skip_special_tokens=True)


def test_the_process_writes_answers_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"id": str(place), "prompt": [{"role": "user", "content": text}], "tools": None, "max_new_tokens": 4}
        for place, text in enumerate(PROMPTS)
    ]
    pl.DataFrame(rows, schema_overrides={"tools": pl.String}).write_parquet(tmp_path / "questions.parquet")
    config = {
        "questions": str(tmp_path / "questions.parquet"),
        "output_dir": str(tmp_path / "out"),
        "home": str(tmp_path),
        "respondents": [{"name": "base", "base_model": TINY_QWEN3}],
    }
    (tmp_path / "run.json").write_text(json.dumps(config))
    monkeypatch.setattr("sys.argv", ["answer", "--config", str(tmp_path / "run.json")])
    assert main() == 0
    file = answers_file(tmp_path / "out", "base")
    assert pl.read_parquet(file)["id"].to_list() == ["0", "1", "2", "3"]
    written = file.stat().st_mtime_ns
    assert main() == 0
    assert file.stat().st_mtime_ns == written

    likeliest = pl.read_parquet(file)["answer"].to_list()
    sampled = []
    for _ in range(2):
        (tmp_path / "run.json").write_text(json.dumps(config | {"temperature": 1.0}))
        assert main() == 0
        sampled.append(pl.read_parquet(file)["answer"].to_list())
        file.unlink()
    assert sampled[0] == sampled[1] != likeliest

    config["respondents"] = [{"name": "grpo", "base_model": TINY_QWEN3, "adapter": str(tmp_path / "missing")}]
    (tmp_path / "run.json").write_text(json.dumps(config))
    assert main() == 1
    assert "holds no adapter" in capsys.readouterr().err
