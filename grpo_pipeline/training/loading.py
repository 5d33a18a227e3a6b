"""Loads tokenizers and policies, and writes prompts the way the model reads them; training and evaluation share it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from grpo_pipeline.conversation import Message
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.config_file import require_adapter

# For chat templates that would drop the tools; short, as every token of it is paid for on every answer.
TOOLS_TEXT = """Tools that you may call:
{signatures}
To call one, write only:
<tool_call>
{{"name": "tool", "arguments": {{"argument": "value"}}}}
</tool_call>"""

# Words of an argument's description; what matters stands in front, and most are shorter.
LONGEST_DESCRIPTION = 20


def load_tokenizer(base: BaseModel) -> PreTrainedTokenizerBase:
    """The base model's tokenizer, padding on the left as generation needs.

    Raises:
        PipelineError: it cannot be read, or has no chat template.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(base.folder, padding_side="left")
    except (OSError, ValueError) as error:
        raise PipelineError(
            f"The tokenizer of the base model {base.name} cannot be read: the folder needs tokenizer.json and "
            "tokenizer_config.json."
        ) from error
    if not tokenizer.chat_template:
        raise PipelineError(
            f"The base model {base.name} has no chat template, so it cannot hold a conversation: choose its instruct "
            "variant with GRPO_TRAINING__BASE_MODEL."
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_policy(
    base: BaseModel, adapter: Path | None = None, *, dtype: str = "float32", trainable: bool = False
) -> PreTrainedModel | PeftModel:
    """The base model, with a LoRA adapter on it where one is given, on the CPU or (unless trainable) the GPU.

    Args:
        dtype: what the base's weights are held in: float32 or bfloat16; a trainable adapter's stay in float32.
        trainable: the adapter's weights get gradients; moving the model to its device is then the trainer's part.

    Raises:
        PipelineError: model or adapter cannot be read.
    """
    try:
        model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=getattr(torch, dtype))
    except (OSError, ValueError, SafetensorError) as error:
        raise PipelineError(
            f"The base model {base.name} cannot be loaded: its files are damaged or incomplete."
        ) from error
    if adapter is not None:
        require_adapter(adapter)
        model = PeftModel.from_pretrained(model, adapter, is_trainable=trainable)
    if trainable:
        return model
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def merged(model: PreTrainedModel | PeftModel, dtype: torch.dtype) -> PreTrainedModel:
    """A model with its adapter added to its weights, which costs every token less; summed before it is rounded."""
    plain = model.merge_and_unload() if isinstance(model, PeftModel) else model
    return plain.to(dtype).eval()


def end_tokens(model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Every token that ends an answer; Qwen3 has two."""
    stated = model.generation_config.eos_token_id if model.generation_config else None
    several = stated if isinstance(stated, list) else [stated]
    return {token for token in (*several, tokenizer.eos_token_id) if token is not None}


def render_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: str | None = None) -> str:
    """The text that the model continues with its answer, thinking switched off.

    Args:
        messages: the conversation up to the answer.
        tools: JSON list of the tool schemas offered, as the dataset's `tools` column holds it.
    """
    conversation: list[Message] = [{"role": item["role"], "content": item["content"]} for item in messages]
    schemas: list[dict[str, Any]] | None = json.loads(tools) if tools else None
    if schemas and "tools" not in str(tokenizer.chat_template):
        conversation, schemas = _with_tools_in_system(conversation, schemas), None
    text = str(
        tokenizer.apply_chat_template(
            conversation, tools=schemas, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
    )
    # Tokenizers that put the begin token in front would do it a second time.
    start = tokenizer.bos_token
    if start and text.startswith(start) and tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]:
        return text.removeprefix(start)
    return text


def _signature(schema: dict[str, Any]) -> str:
    """A tool in few tokens: what it does, then a line for each argument with its type or choices, `?` if optional."""
    function = schema.get("function", schema)
    lines = [f"{function.get('name')}: {function.get('description', '')}"]
    return "\n".join([*lines, *(f"- {line}" for line in _argument_lines(function.get("parameters") or {}))])


def _argument_lines(parameters: dict[str, Any]) -> list[str]:
    required, lines = parameters.get("required", []), []
    for name, details in parameters.get("properties", {}).items():
        mark, text = "" if name in required else "?", _shortened(details.get("description", ""))
        lines.append(f"{name}{mark} ({_type(details)}) {text}".strip())
    return lines


def _type(details: dict[str, Any]) -> str:
    if "enum" in details:
        return "|".join(str(choice) for choice in details["enum"])
    if details.get("properties"):
        return "{" + "; ".join(_argument_lines(details)) + "}"
    if details.get("type") == "array":
        return f"[{_type(details.get('items') or {})}]"
    return str(details.get("type", "any"))


def _shortened(text: str) -> str:
    words = text.split()
    return " ".join(words[:LONGEST_DESCRIPTION])


def _with_tools_in_system(conversation: list[Message], schemas: list[dict[str, Any]]) -> list[Message]:
    text = TOOLS_TEXT.format(signatures="\n".join(_signature(schema) for schema in schemas))
    if conversation[0]["role"] == "system":
        return [{"role": "system", "content": f"{conversation[0]['content']}\n\n{text}"}, *conversation[1:]]
    return [{"role": "system", "content": text}, *conversation]
