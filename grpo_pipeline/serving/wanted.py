"""Which models shall be served, as the registry says."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from grpo_pipeline.config import Settings
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.server.models.in_use import ModelsInUse
from grpo_pipeline.serving.model import Model
from grpo_pipeline.training.profiles import detect_hardware, resolve

# The base model as it is, which is served until a version is promoted.
BASE = "base"


class WantedModels:
    """The champion, or the base model before there is one, and the versions that challenge it."""

    def __init__(self, settings: Settings, url: str, in_use: ModelsInUse, version: str | None) -> None:
        """Take the version that is served whatever is promoted, if it is one."""
        self._registry = ModelRegistry(url)
        self._in_use = in_use
        self._version = version
        self._base = Model(BASE, resolve(settings.training, detect_hardware()).base_model)
        self._known: dict[str, Model] = {}

    async def read(self) -> Sequence[str]:
        """The names of the models, the one that most users get first.

        Raises:
            psycopg.Error: the database cannot be read.
        """
        if self._version:
            return [self._version]
        in_use = await self._in_use.all()
        return [in_use.champion or BASE, *(item.version for item in in_use.challengers)]

    async def model(self, name: str) -> Model:
        """A model by its name.

        Raises:
            PipelineError: there is no such version, or its adapter is not on this machine.
        """
        if name == BASE:
            return self._base
        if name not in self._known:
            self._known[name] = Model.of(await run_in_threadpool(self._registry.get, name))
        return self._known[name]
