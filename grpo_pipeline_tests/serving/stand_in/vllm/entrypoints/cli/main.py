"""Stands in for vLLM, which needs a GPU: its command line and the part of its API that is used, without any model.

As described in https://docs.vllm.ai/en/latest/features/lora/ and https://docs.vllm.ai/en/latest/cli/serve/.
"""

from __future__ import annotations

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Knows the base model by its served name and adapters by theirs."""

    base: str
    adapters: dict[str, str]

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/load_lora_adapter" and os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "True":
            return self._load(asked["lora_name"], Path(asked["lora_path"]))
        if self.path == "/v1/unload_lora_adapter" and asked["lora_name"] in self.adapters:
            self.adapters.pop(asked["lora_name"])
            return self._answer(200, "removed")
        if self.path == "/v1/chat/completions" and asked["model"] in {self.base, *self.adapters}:
            told = {"loaded": sorted(self.adapters), "process": os.getpid(), "arguments": self.base}
            content = {"role": "assistant", "content": json.dumps(told)}
            return self._answer(200, {"model": asked["model"], "choices": [{"index": 0, "message": content}]})
        return self._answer(404, {"error": {"message": "there is no such thing"}})

    def _load(self, name: str, folder: Path) -> None:
        if name in self.adapters or not (folder / "adapter_config.json").exists():
            return self._answer(400, {"error": {"message": "cannot be loaded"}})
        self.adapters[name] = str(folder)
        return self._answer(200, f"Success: LoRA adapter '{name}' added successfully.")

    def _answer(self, status: int, content: Any) -> None:  # noqa: ANN401
        body = json.dumps(content, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve as the command line says; an option that vLLM does not have ends it."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    serve = parser.add_subparsers(required=True).add_parser("serve", allow_abbrev=False)
    serve.add_argument("model_tag", type=Path)
    serve.add_argument("--served-model-name", required=True)
    serve.add_argument("--host", required=True)
    serve.add_argument("--port", type=int, required=True)
    serve.add_argument("--enable-lora", action="store_true")
    serve.add_argument("--max-lora-rank", type=int, choices=(1, 8, 16, 32, 64, 128, 256, 320, 512))
    serve.add_argument("--max-loras", type=int)
    serve.add_argument("--enable-auto-tool-choice", action="store_true")
    serve.add_argument("--tool-call-parser", choices=("hermes",))
    serve.add_argument("--default-chat-template-kwargs", type=json.loads)
    serve.add_argument("--gpu-memory-utilization", type=float)
    chosen = parser.parse_args()
    if not (chosen.enable_lora and (chosen.model_tag / "config.json").exists()):
        parser.error("no model")
    Handler.base, Handler.adapters = chosen.served_model_name, {}
    ThreadingHTTPServer((chosen.host, chosen.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
