"""vLLM: one base model on the GPU, with adapters loaded and unloaded while it runs."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import httpx2

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.serving.model import Model
from grpo_pipeline.training.base_model import locate_base_model

# The largest that a later version may have; 16 is what training makes.
MAX_LORA_RANK = 64
# The champion, a fresh one beside it, and challengers.
ADAPTERS = 4


class VllmEngine:
    """Serves adapters by name on the base model that it was started with."""

    name = "vLLM"

    def __init__(self, home: Path, base_name: str, more: Sequence[str]) -> None:
        """Take the name under which the base model itself is served."""
        self._home = home
        self._base_name = base_name
        self._more = more
        self._loaded: set[Model] = set()

    def command(self, base_model: str, port: int) -> Sequence[str]:
        """A new process has no adapter."""
        self._loaded.clear()
        weights = locate_base_model(base_model, self._home).folder
        server = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(weights)]
        where = ["--served-model-name", self._base_name, "--host", "127.0.0.1", "--port", str(port)]
        adapters = ["--enable-lora", "--max-lora-rank", str(MAX_LORA_RANK), "--max-loras", str(ADAPTERS)]
        # As in training: tools are called in this form, and nothing is thought before the answer.
        form = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
        form += ["--default-chat-template-kwargs", '{"enable_thinking": false}']
        return [*server, *where, *adapters, *form, *self._more]

    def environment(self) -> Mapping[str, str]:
        """Whoever reaches it could load anything with this set, so it listens on this machine only."""
        return {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}

    def serves(self, base_model: str, other: str) -> bool:
        """Adapters fit the base model alone that they were trained on."""
        return base_model == other

    async def load(self, client: httpx2.AsyncClient, model: Model) -> str:
        """Load an adapter beside those that are served.

        Raises:
            PipelineError: vLLM refuses it.
        """
        if model.adapter is None:
            return self._base_name
        if model not in self._loaded:
            asked = {"lora_name": model.name, "lora_path": str(model.adapter)}
            answer = await client.post("/v1/load_lora_adapter", json=asked)
            if answer.status_code != 200:
                raise PipelineError(f"{self.name} cannot load the adapter of {model.name}: {answer.text[:300]}")
            self._loaded.add(model)
        return model.name

    async def keep_only(self, client: httpx2.AsyncClient, models: Collection[Model]) -> None:
        """Take the other adapters out of memory."""
        for model in self._loaded - set(models):
            await client.post("/v1/unload_lora_adapter", json={"lora_name": model.name})
            self._loaded.discard(model)
