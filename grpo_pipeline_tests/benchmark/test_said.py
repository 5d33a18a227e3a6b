from typing import Any

import pytest

from grpo_pipeline.benchmark.bfcl import BfclQuestion
from grpo_pipeline.benchmark.said import NOT_SAID, SAID, kind_of


def question(text: str, **accepted: list[Any]) -> BfclQuestion:
    wanted = [{"tool": accepted}] if accepted else []
    return BfclQuestion("q", "simple_python", ({"role": "user", "content": text},), [], wanted)


@pytest.mark.parametrize(
    ("text", "accepted", "kind"),
    [
        ("Weather in Boston for 3 days", {"city": ["Boston, MA", "boston"], "days": [3]}, SAID),
        ("Weather in Boston for three days", {"city": ["Boston"], "days": [3]}, SAID),
        ("Weather in Boston", {"city": ["Boston"], "days": [3]}, NOT_SAID),
        ("Weather in Boston", {"city": ["Boston"], "days": [7, ""]}, SAID),
        ("Weather in Boston", {"city": ["Boston, MA"]}, NOT_SAID),
        ("A loan of $250,000 at 5%", {"amount": [250000]}, SAID),
        ("A loan of $250,000 at 5%", {"rate": [0.05]}, NOT_SAID),
        ("At 40 degrees", {"latitude": [-40]}, NOT_SAID),
        ("At -40 degrees", {"latitude": [-40]}, SAID),
        ("With details", {"detailed": [True]}, SAID),
        ("The mean of 1, 2 and 4", {"numbers": [[1, 2, 4]]}, SAID),
        ("The mean of 1, 2 and 4", {"numbers": [[1, 2, 3]]}, NOT_SAID),
        ("Alice is 30", {"person": [{"name": ["Alice"], "age": [30]}]}, SAID),
        ("Alice is 30", {"person": [{"name": ["Bob"], "age": [30]}]}, NOT_SAID),
        ("Hello", {}, SAID),
    ],
)
def test_a_value_is_said_where_it_stands_in_the_question(text: str, accepted: dict[str, Any], kind: str) -> None:
    assert kind_of(question(text, **accepted)) == kind
