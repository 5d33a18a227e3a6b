import json
import shutil
import threading
import time
from pathlib import Path

import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.base_model import _build_once, locate_base_model
from grpo_pipeline.training.loading import load_policy, load_tokenizer, render_prompt
from grpo_pipeline_tests.training.datasets import TOOL

QUESTION = [{"role": "user", "content": "Who funds Ramp?"}]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_qwen3_reads_the_tools_and_does_not_think(home: Path) -> None:
    tokenizer = load_tokenizer(locate_base_model("tiny-qwen3", home))
    text = render_prompt(tokenizer, QUESTION, json.dumps([TOOL]))
    assert json.dumps(TOOL) in text
    assert text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert "<tools>" not in render_prompt(tokenizer, QUESTION)


def test_a_template_without_tools_gets_them_in_the_system_message(home: Path) -> None:
    tokenizer = load_tokenizer(locate_base_model("tiny-qwen3", home))
    tokenizer.chat_template = CHATML
    text = render_prompt(tokenizer, QUESTION, json.dumps([TOOL]))
    assert "get_funding: Funding rounds of a company.\n- company (string)" in text
    assert text.count("<|im_start|>system") == 1
    with_system = render_prompt(tokenizer, [{"role": "system", "content": "Be brief."}, *QUESTION], json.dumps([TOOL]))
    assert "<|im_start|>system\nBe brief.\n\nTools that you may call:" in with_system


def test_choices_lists_groups_and_what_may_be_left_out_stand_in_a_few_tokens(home: Path) -> None:
    tokenizer = load_tokenizer(locate_base_model("tiny-qwen3", home))
    tokenizer.chat_template = CHATML
    properties = {
        "room": {"type": "string", "enum": ["single", "double"], "description": " ".join(["long"] * 50)},
        "guests": {"type": "array", "items": {"type": "string"}},
        "place": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
    }
    parameters = {"type": "object", "properties": properties, "required": ["room"]}
    tool = {"type": "function", "function": {"name": "book", "description": "Book.", "parameters": parameters}}
    text = render_prompt(tokenizer, QUESTION, json.dumps([tool]))
    shown = text.partition("book: Book.\n")[2].partition("\nTo call")[0].splitlines()
    assert shown == [
        f"- room (single|double) {' '.join(['long'] * 20)}",
        "- guests? ([string])",
        "- place? ({lat (number)})",
    ]


def test_a_model_without_chat_template_is_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(locate_base_model("tiny-qwen3", home).folder, tmp_path / "plain")
    (tmp_path / "plain" / "chat_template.jinja").unlink()
    with pytest.raises(PipelineError, match="has no chat template"):
        load_tokenizer(locate_base_model(str(tmp_path / "plain"), home))


def test_a_folder_that_is_no_model_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="holds no model"):
        locate_base_model(str(tmp_path), home)
    with pytest.raises(PipelineError, match="does not exist"):
        locate_base_model("./no/such/folder", home)


def test_damaged_weights_and_a_missing_adapter_are_refused(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(locate_base_model("tiny-qwen3", home).folder, folder)
    (folder / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(PipelineError, match="cannot be loaded"):
        load_policy(locate_base_model(str(folder), home))
    with pytest.raises(PipelineError, match="holds no adapter"):
        load_policy(locate_base_model("tiny-qwen3", home), tmp_path)


def test_a_hub_model_that_cannot_be_reached_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PipelineError, match="set GRPO_TRAINING__BASE_MODEL to a local folder"):
        locate_base_model("no-such-organization/no-such-model", home)
    with pytest.raises(PipelineError, match="The Hub has no model"):
        locate_base_model("no such/name/at all", home)


def test_two_processes_at_once_prepare_a_model_once(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(draft: Path) -> None:
        built.append(draft)
        time.sleep(0.3)
        (draft / "config.json").write_text("{}")

    threads = [threading.Thread(target=_build_once, args=(tmp_path / "model", build)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert (tmp_path / "model" / "config.json").exists()
    assert not built[0].exists()


def test_what_a_killed_preparation_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".model.draft-x").mkdir()
    with pytest.raises(ZeroDivisionError):
        _build_once(tmp_path / "model", lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
    assert not (tmp_path / "model").exists()
    _build_once(tmp_path / "model", lambda draft: (draft / "config.json").touch())
    assert [path.name for path in tmp_path.glob(".model.draft-*")] == []


@pytest.mark.slow
def test_the_packaged_small_model_reads_numbers_by_digit_and_answers(home: Path) -> None:
    base = locate_base_model("SmolLM2-135M-Instruct", home)
    tokenizer = load_tokenizer(base)
    text = "Revenue grew to $12,345.6M in 2026"
    tokens = tokenizer(text)["input_ids"]
    assert tokenizer.decode(tokens) == text
    digits = [token for token in tokenizer.convert_ids_to_tokens(tokens) if any(map(str.isdigit, token))]
    assert digits == list("1234562026")
    prompt = tokenizer(
        render_prompt(tokenizer, [{"role": "user", "content": "What is the capital of France?"}]), return_tensors="pt"
    )
    answer = load_policy(base, dtype="bfloat16").generate(**prompt, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0][prompt["input_ids"].shape[1] :])
