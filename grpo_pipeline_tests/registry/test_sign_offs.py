from __future__ import annotations

import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.sign_offs import SignOffs
from grpo_pipeline.weeks import Week

WEEK, OTHER = Week("2026-11-02"), Week("2026-11-09")
FIRST, SECOND = "0123456789abcdef", "fedcba9876543210"


def test_the_last_sign_off_of_a_week_counts_and_tells_who_and_when(database_url: str) -> None:
    sign_offs = SignOffs(database_url)
    assert sign_offs.last(WEEK) is None
    sign_offs.sign(WEEK, FIRST, "Ada")
    signed = sign_offs.sign(WEEK, SECOND, "Bea")
    assert sign_offs.last(WEEK) == signed
    assert (signed.dataset_hash, signed.signed_by) == (SECOND, "Bea")
    assert (signed.covers(SECOND), signed.covers(FIRST)) == (True, False)
    assert sign_offs.last(OTHER) is None


def test_what_is_no_hash_is_refused(database_url: str) -> None:
    with pytest.raises(PipelineError):
        SignOffs(database_url).sign(WEEK, "'; drop table x", "Ada")
