"""What sequences begin alike with is found whole, and read apart only where that spares work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_pipeline.training.shared_beginnings import Beginning, shared_beginnings, worth_sharing

TOOLS = list(range(100, 160))
OTHER_TOOLS = list(range(300, 350))


def request(*tokens: int) -> list[int]:
    return [1, 2, *tokens]


def read(sequences: Sequence[Sequence[int]], beginnings: Sequence[Beginning]) -> int:
    """How many tokens are read, each beginning once."""
    return sum(len(sequence) for sequence in sequences) - sum(
        (len(item.members) - 1) * len(item.tokens) for item in beginnings
    )


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    first, *rest = items
    for partition in partitions(rest):
        yield [[first], *partition]
        for place, part in enumerate(partition):
            yield [*partition[:place], [first, *part], *partition[place + 1 :]]


def best_read(sequences: Sequence[Sequence[int]], limits: Sequence[int]) -> int:
    """The fewest tokens that any grouping leaves to read."""
    found = []
    for partition in partitions(list(range(len(sequences)))):
        groups = []
        for part in partition:
            rows = [sequences[number][: limits[number]] for number in part]
            common = next(
                (place for place, column in enumerate(zip(*rows, strict=False)) if len(set(column)) > 1),
                min(len(row) for row in rows),
            )
            groups.append(Beginning(tuple(part), tuple(rows[0][:common])))
        found.append(read(sequences, groups))
    return min(found)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=5), st.data())
def test_no_other_grouping_leaves_fewer_tokens_to_read(sequences: list[list[int]], data: st.DataObject) -> None:
    limits = [data.draw(st.integers(0, len(sequence))) for sequence in sequences]
    beginnings = shared_beginnings(sequences, limits)
    assert sorted(number for item in beginnings for number in item.members) == list(range(len(sequences)))
    for item in beginnings:
        for number in item.members:
            assert len(item.tokens) <= limits[number]
            assert tuple(sequences[number][: len(item.tokens)]) == item.tokens
    assert read(sequences, beginnings) == best_read(sequences, limits)


def test_requests_to_the_same_tools_are_found_wherever_they_stand() -> None:
    sequences = [[*TOOLS, *request(7)], [*OTHER_TOOLS, *request(5)], [*TOOLS, *request(8)], [*OTHER_TOOLS, *request(9)]]
    found = {item.members: len(item.tokens) for item in shared_beginnings(sequences, [62, 52, 62, 52])}
    # What both requests begin with is shared as well.
    assert found == {(0, 2): len(TOOLS) + 2, (1, 3): len(OTHER_TOOLS) + 2}


@pytest.mark.parametrize(
    ("sequences", "worth"),
    [
        ([[*TOOLS, *request(number)] for number in range(4)], True),
        ([[number, *TOOLS] for number in range(4)], False),
        ([[*TOOLS[:4], number, *range(200, 240)] for number in range(4)], False),
    ],
    ids=["alike", "not alike", "hardly alike"],
)
def test_beginnings_are_read_apart_only_where_that_spares_a_third(sequences: list[list[int]], worth: bool) -> None:
    limits = [len(sequence) - 1 for sequence in sequences]
    assert worth_sharing(sequences, shared_beginnings(sequences, limits)) is worth
