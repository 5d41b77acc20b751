"""Saved outputs of commands: they expire after an hour, also during concurrent reads, writes and evictions."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tfo_mcp.domain.errors import FileMissing
from tfo_mcp.infrastructure.commands.output_store import KEPT_SECONDS, SavedOutputs, Spool


class Clock:
    """A clock that changes only when tests set it."""

    def __init__(self) -> None:
        self.seconds = 5.0

    def __call__(self) -> float:
        return self.seconds


def kept(outputs: SavedOutputs, data: bytes) -> Spool:
    spool = outputs.begin("owner")
    assert spool is not None
    spool.write(data)
    return spool


def test_an_output_is_there_for_an_hour() -> None:
    clock = Clock()
    outputs = SavedOutputs(100, clock)
    spool = kept(outputs, b"text")
    assert spool.close() == 4
    clock.seconds += KEPT_SECONDS - 0.1
    assert outputs.read(spool.name, "owner", 0, None) == b"text"
    clock.seconds += 0.1
    with pytest.raises(FileMissing):
        outputs.read(spool.name, "owner", 0, None)
    outputs.close()


def test_what_is_too_old_makes_room_and_what_is_written_stays() -> None:
    clock = Clock()
    outputs = SavedOutputs(10, clock)
    old, running = kept(outputs, b"old"), kept(outputs, b"running")
    assert old.close() == 3
    clock.seconds += KEPT_SECONDS
    running.write(b"...more")
    running.write(b"!")  # nothing may follow an omitted part
    assert running.close() == 10
    assert outputs.begin("owner") is not None
    with pytest.raises(FileMissing):
        outputs.read(running.name, "owner", 0, None)  # its own hour has passed as well
    outputs.close()


def test_an_output_for_which_there_is_no_room_at_all_is_not_kept() -> None:
    outputs = SavedOutputs(10)
    first = kept(outputs, b"x" * 10)
    second = kept(outputs, b"y")
    assert (first.close(), second.close()) == (10, None)
    outputs.close()


def test_who_reads_what_others_push_out_gets_its_own_bytes_or_none() -> None:
    outputs = SavedOutputs(64 * 1024)

    def turn_over(letter: bytes) -> int:
        right = 0
        for _ in range(300):
            spool = kept(outputs, letter * 20_000)
            spool.close()
            try:
                data = outputs.read(spool.name, "owner", 0, None)
            except FileMissing:
                continue
            assert data == letter * len(data)
            right += 1
        return right

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(turn_over, [b"%c" % letter for letter in range(97, 105)])) > 0
    outputs.close()
