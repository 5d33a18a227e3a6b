"""Fixtures of the whole test suite."""

pytest_plugins = ["grpo_pipeline_tests.postgres_fixtures", "grpo_pipeline_tests.project"]
