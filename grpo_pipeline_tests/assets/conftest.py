from grpo_pipeline_tests.project import project

__all__ = ["project"]
