"""`python -m grpo_pipeline` is the `grpo-pipeline` command."""

from __future__ import annotations

from grpo_pipeline.cli.app import main

if __name__ == "__main__":
    main()
