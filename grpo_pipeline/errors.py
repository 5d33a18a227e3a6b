"""The one error type whose message is written for the person running the pipeline."""


class PipelineError(Exception):
    """Something a person can put right: the message says what is wrong, where and what to do, without user text."""
