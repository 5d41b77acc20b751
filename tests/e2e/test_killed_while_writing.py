"""Atomic writes: a server killed during a thousand writes leaves every file with its old or its new content."""

import os
from pathlib import Path

import pytest

from tests.support.deadlines import PATIENCE
from tests.support.stdio_client import StdioClient, StreamClosedError, stdio_client

FILES = 50
WRITES = 1000
SIZE = 60_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(FILES):
        (tmp_path / f"{number}").write_text("0" * SIZE)
    return tmp_path


def write(client: StdioClient, number: int) -> None:
    """Send a call that writes a whole file of one letter."""
    letter = "abcdefghij"[number % 10]
    arguments = {"path": f"{number % FILES}", "content": letter * SIZE}
    client.start("tools/call", {"name": "write_file", "arguments": arguments})


@pytest.mark.parametrize("answers", [1, 100, 400])
def test_every_file_is_whole_whenever_the_server_is_killed(root: Path, answers: int) -> None:
    with stdio_client({"files": {"roots": [str(root)]}}, directory=root) as client:
        client.handshake()
        acknowledged = 0
        for number in range(WRITES):
            write(client, number)
            if number == answers:
                break
        while acknowledged < answers:
            message = client.next_message(PATIENCE)
            assert message["result"]["isError"] is False
            acknowledged += 1
            if acknowledged + answers < WRITES:
                write(client, answers + acknowledged)
        client.child.process.kill()
        with pytest.raises(StreamClosedError):
            client.call("ping")
    for number in range(FILES):
        content = (root / f"{number}").read_text()
        assert len(content) == SIZE
        assert content == content[0] * SIZE
    left = set(os.listdir(root)) - {f"{number}" for number in range(FILES)}
    for name in left:  # written but not yet renamed: complete as well
        content = (root / name).read_text()
        assert (len(content), content) == (SIZE, content[0] * SIZE)
