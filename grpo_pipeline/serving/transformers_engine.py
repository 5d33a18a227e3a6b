"""`transformers serve`: for machines without a GPU. It loads folders of whole weights, not adapters."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import httpx2

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.serving.model import Model
from grpo_pipeline.serving.weights import write_merged
from grpo_pipeline.training.profiles import Hardware

# A model that is no longer kept ready goes out of memory after this long.
IDLE_SECONDS = 60
# It names a model by its folder and the revision that a folder does not have.
REVISION = "@main"


class TransformersEngine:
    """Serves merged weights, which are made once for each version and named by the version.

    Models stay in memory as long as `load` is called for them again and again.
    """

    name = "transformers serve"

    def __init__(self, home: Path, folder: Path, hardware: Hardware, more: Sequence[str]) -> None:
        """Take the folder that the engine works in: a model's name is that of its weights' folder there."""
        self._home = home
        self._folder = folder
        self._more = more
        self._dtype = "auto" if hardware.gpus or hardware.cpu_bf16 else "float32"

    def command(self, base_model: str, port: int) -> Sequence[str]:
        """Without a model: each is loaded when `load` asks for it."""
        where = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error"]
        # As in training, nothing is thought before the answer.
        how = ["--model-timeout", str(IDLE_SECONDS), "--dtype", self._dtype, "--reasoning", "off"]
        return [sys.executable, "-m", "transformers.cli.transformers", "serve", *where, *how, *self._more]

    def environment(self) -> Mapping[str, str]:
        """It would fetch from the Hub whatever name it is asked for."""
        return {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}

    def serves(self, base_model: str, other: str) -> bool:
        """Weights are whole, so any."""
        return True

    async def load(self, client: httpx2.AsyncClient, model: Model) -> str:
        """Merge what was not merged yet, and load it beside what is served meanwhile.

        Raises:
            PipelineError: it cannot be merged or loaded.
        """
        place = self._folder / folder_name(model)
        if not place.exists():
            await write_merged(model, self._home, place)
        answer = await client.post("/load_model", json={"model": place.name})
        events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
        if not events or events[-1]["status"] != "ready":
            raise PipelineError(f"{self.name} cannot load {model.name}: its weights in {place} may be damaged.")
        return f"{place.name}{REVISION}"

    async def keep_only(self, client: httpx2.AsyncClient, models: Collection[Model]) -> None:
        """Remove the others' weights from the disk; from memory they go by themselves."""
        kept = {folder_name(model) for model in models}
        for place in self._folder.iterdir():
            if place.is_dir() and place.name not in kept:
                shutil.rmtree(place, ignore_errors=True)


def folder_name(model: Model) -> str:
    """The folder of a model's weights: a version's name stands for its content, a base model's is made from its own."""
    if model.adapter:
        return model.name
    return f"{model.name}-{hashlib.sha256(model.base_model.encode()).hexdigest()[:8]}"
