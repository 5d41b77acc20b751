"""The scoreboard: counts and reports of several processes, without locks."""

import os
from collections.abc import Callable

from tfo_mcp.infrastructure.workers.scoreboard import Scoreboard


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked process and return its id."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def test_the_counts_of_all_processes_are_added_up_and_outlive_them() -> None:
    board = Scoreboard(3)

    def count(number: int) -> None:
        place = board.place(number)
        for call in range(1000):
            place.count_call(failed=call % 10 == 0)

    for pid in [in_child(lambda number=number: count(number)) for number in range(3)]:  # type: ignore[misc]
        os.waitpid(pid, 0)
    assert board.place(0).calls() == (3000, 300)


def test_a_reader_never_sees_half_of_a_report() -> None:
    board = Scoreboard(2)

    def publish() -> None:
        place = board.place(1)
        for number in range(3000):
            place.publish(b"%d " % number * (1 + number % 500))

    pid, reader, seen = in_child(publish), board.place(0), 0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        for report, serves in reader.reports():
            seen += 1
            assert not serves
            assert len(set(report.split())) == 1
            assert len(report.split()) == 1 + int(report.split()[0]) % 500
    assert seen


def test_a_worker_inherits_the_report_of_the_one_before_it() -> None:
    board = Scoreboard(2)
    assert board.place(0).inherited() is None
    board.place(0).publish(b"the last words")
    assert board.place(0).inherited() == b"the last words"
    assert board.place(1).inherited() is None


def test_a_server_is_complete_when_a_worker_serves_in_every_place() -> None:
    board = Scoreboard(2)
    place = board.place(0)
    assert (place.count, place.is_complete) == (0, False)
    for number in range(2):
        board.set_serving(number, serves=True)
    assert (place.count, place.is_complete) == (2, True)
    board.set_serving(1, serves=False)
    assert (place.count, place.is_complete) == (1, False)


def test_a_worker_with_fewer_connections_accepts_the_next() -> None:
    board = Scoreboard(2)
    one, other = board.place(0), board.place(1)
    for number in range(2):
        board.set_serving(number, serves=True)
    assert not one.has_more_connections(0)
    assert one.has_more_connections(1)
    assert not other.has_more_connections(1)
    board.set_serving(1, serves=False)
    assert not one.has_more_connections(9), "there is no other worker"


def test_a_report_that_is_too_long_leaves_the_one_before() -> None:
    board = Scoreboard(1)
    place = board.place(0)
    place.publish(b"short")
    place.publish(b"x" * (4 * 1024 * 1024 + 1))
    assert place.reports() == [(b"short", True)]
