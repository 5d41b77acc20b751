"""The pipes between workers and their parent: a reload that failed is never reported as one that succeeded."""

import os
from collections.abc import Iterator

import pytest

from tfo_mcp_transports.cli.workers.parent_link import Notice, ParentLink


@pytest.fixture
def link() -> Iterator[ParentLink]:
    made = ParentLink()
    yield made
    for descriptor in (made.notices, made._notices_writer, made.parent_ended, made._lifeline):
        os.close(descriptor)


def test_notices_arrive_in_order(link: ParentLink) -> None:
    assert list(link.take()) == []
    link.serving(3)
    link.reloaded(())
    link.reloaded(["a\nb", "c"])
    pid = os.getpid()
    assert list(link.take()) == [Notice(pid, hidden_tools=3), Notice(pid, ()), Notice(pid, ("a\nb", "c"))]


@pytest.mark.parametrize("problem", ["x" * 100_000, "\U0001f600" * 1000, '"' * 1000, "\n" * 1000])
def test_of_many_or_long_problems_at_least_the_first_is_reported(link: ParentLink, problem: str) -> None:
    link.reloaded([problem, *(f"{number} {problem}" for number in range(50))])
    (notice,) = link.take()
    assert notice.problems
    assert notice.problems[0] == problem[:300]
