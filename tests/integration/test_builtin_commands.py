"""The tool execute_command and its resources with real commands."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.builtins import Builtins, builtins, text_of
from tests.support.files import LIMIT
from tfo_mcp.domain.content import ResourceLink, Text, TextContents
from tfo_mcp.domain.errors import FileMissing, InvalidParams

pytestmark = pytest.mark.anyio


IN_TURN = """
import os, sys
from fcntl import ioctl
from struct import unpack
from termios import FIONREAD

for part in sys.argv[1:]:
    descriptor = int(part[0])
    os.write(descriptor, part[1:].encode("latin-1").decode("unicode-escape").encode("latin-1"))
    while unpack("i", ioctl(descriptor, FIONREAD, bytes(4)))[0]:
        pass  # the server has not read it yet
"""
"""A program that writes its arguments, each to the descriptor that it begins with, after the one before was read."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Builtins]:
    async with builtins(tmp_path) as served:
        yield served


async def test_a_command_that_succeeds_is_told_with_its_outcome(server: Builtins) -> None:
    (server.root / "inner").mkdir()
    result = await server.call("execute_command", command="pwd -P; echo e >&2", working_dir="inner", timeout=5)
    assert not result.is_error
    assert text_of(result) == f"{server.root}/inner\ne\n[exit code 0]"
    assert result.structured["stdout"] == f"{server.root}/inner\n"
    assert (result.structured["stderr"], result.structured["exit_code"]) == ("e\n", 0)
    assert result.structured["sandbox"] in ("bwrap", "landlock")
    assert (await server.call("execute_command", argv=["echo", "$HOME"])).structured["stdout"] == "$HOME\n"


@pytest.mark.parametrize(
    ("command", "timeout", "expected", "shown"),
    [
        (
            "printf no; exit 4",
            5,
            {"exit_code": 4, "signal": None, "timed_out": False, "stdout": "no"},
            "no\n[exit code 4]",
        ),
        ("kill -9 $$", 5, {"exit_code": None, "signal": "SIGKILL", "timed_out": False}, "[ended by SIGKILL after "),
        ("sleep 9", 0.1, {"exit_code": None, "signal": None, "timed_out": True}, "[timed out after "),
    ],
)
async def test_a_command_that_fails_is_a_failed_call_with_its_outcome(
    server: Builtins, command: str, timeout: float, expected: dict[str, Any], shown: str
) -> None:
    result = await server.call("execute_command", command=command, timeout=timeout)
    assert result.is_error
    assert expected.items() <= result.structured.items()
    assert text_of(result).startswith(shown)


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ((r"1one\n", r"2two\n", r"1three\nfour\n", r"2five\n"), "one\ntwo\nthree\nfour\nfive\n"),
        ((r"2warning\n", r"1first\n", r"1second\n", r"2error\n"), "warning\nfirst\nsecond\nerror\n"),
        ((r"1be", r"2two\n", r"1gun\n"), "two\nbegun\n"),
        ((r"1\xc3", r"2two\n", r"1\xa9\n"), "two\né\n"),
        ((r"1one\nre", r"2two\nst", r"1main"), "one\ntwo\nremain\nst\n"),
        ((r"2\xff\n", r"1one"), "\ufffd\none\n"),
    ],
    ids=["lines", "stderr first", "parts of a line", "parts of a character", "without an end", "not text"],
)
async def test_the_text_has_the_lines_of_both_outputs_in_the_order_of_arrival(
    server: Builtins, parts: Sequence[str], shown: str
) -> None:
    (server.root / "in_turn.py").write_text(IN_TURN)
    result = await server.call("execute_command", argv=["python3", "in_turn.py", *parts])
    assert text_of(result) == f"{shown}[exit code 0]"
    for number, name in ((1, "stdout"), (2, "stderr")):
        own = "".join(part[1:] for part in parts if part[0] == str(number))
        plain = own.encode("latin-1").decode("unicode-escape").encode("latin-1")
        assert result.structured[name] == plain.decode(errors="replace")


async def test_outputs_of_which_one_is_cut_follow_each_other(server: Builtins) -> None:
    command = f"echo first >&2; seq {LIMIT}; echo last >&2"
    result = await server.call("execute_command", command=command)
    described = result.content[0]
    assert isinstance(described, Text)
    cut, rest = described.text.split("first\nlast\n[Truncated. Continue with the resource ")
    assert cut == result.structured["stdout"]
    assert "of stdout.]" in rest


async def test_a_long_output_is_cut_and_the_whole_is_a_resource(server: Builtins) -> None:
    result = await server.call("execute_command", command=f"seq {LIMIT}; printf '\\377'")
    described, link = result.content
    assert isinstance(described, Text)
    assert isinstance(link, ResourceLink)
    more = f"[Truncated. Continue with the resource {link.uri}, or {link.uri}/FIRST-LAST for these bytes of stdout.]"
    assert described.text == f"{result.structured['stdout']}\n{more}\n[exit code 0]"
    assert (result.structured["truncated"], result.structured["stdout_uri"]) == (True, link.uri)
    whole = "".join(f"{number}\n" for number in range(1, LIMIT + 1)) + "\ufffd"
    assert await server.read(link.uri) == TextContents(link.uri, whole, "text/plain")
    part = await server.read(f"{link.uri}/2-9")
    assert part == TextContents(f"{link.uri}/2-9", whole[2:9], "text/plain")
    with pytest.raises(FileMissing):
        await server.read(f"{link.uri}0")
    with pytest.raises(InvalidParams, match="first"):
        await server.read(f"{link.uri}/x-9")


async def test_new_output_is_progress(server: Builtins) -> None:
    await server.call("execute_command", command="echo one; sleep 0.5")
    kind, size, total, message = server.channel.sent[0]
    assert (kind, size, total, message) == ("progress", 4, None, "one\n")


async def test_a_command_in_both_forms_or_neither_is_refused(server: Builtins) -> None:
    for arguments in ({}, {"command": "true", "argv": ["true"]}):
        result = await server.call("execute_command", **arguments)
        assert result.is_error
        assert "Give either argv" in text_of(result)
