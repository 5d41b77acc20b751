"""The tool execute_command and its resources with real commands."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.builtins import Builtins, builtins, text_of
from tests.support.files import LIMIT
from tfo_mcp.domain.content import ResourceLink, Text, TextContents
from tfo_mcp.domain.errors import FileMissing, InvalidParams

pytestmark = pytest.mark.anyio


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
