"""What every process of the tests needs, before any test."""

import gc
import os
import signal
from collections.abc import Iterator
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests in the background has it ignored
if "PYTEST_XDIST_WORKER" not in os.environ or "XDG_STATE_HOME" not in os.environ:
    os.environ["XDG_STATE_HOME"] = mkdtemp(prefix="tfo-mcp-state-")  # no test writes into the home of who runs it

gc.disable()  # what is imported and collected lives until the end, and is traversed again and again


def pytest_collection_finish() -> None:
    """Leave all that was imported and collected out of the garbage collections of the tests."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes that are no text by their parameter, whose values get numbers.

    Compressed bytes contain the time, and all workers have to collect the same ids.
    """
    unreadable = isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable())
    return argname if unreadable else None


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """Return a PostgreSQL server, in which each test makes a database of its own."""
    from tests.support.postgres import postgres_server

    with postgres_server() as server:
        yield server
