"""Plain options of `serve`: they are those of the command, and are read as the command reads them."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tfo_mcp_transports.cli.application import command_line
from tfo_mcp_transports.cli.plain_options import PLAIN_OPTIONS, plain_options
from tfo_mcp_transports.cli.service import run_server


def read_by_the_command(arguments: list[str]) -> dict[str, Any]:
    """Return the options as the library of the command line reads them, without those that are not given."""
    app = command_line(["serve"])
    assert isinstance(app, typer.Typer)
    command = typer.main.get_command(app)
    context = command.commands["serve"].make_context("serve", arguments)  # type: ignore[attr-defined]
    return {name: value for name, value in context.params.items() if value is not None}


def test_there_is_an_entry_for_each_option_of_the_command() -> None:
    assert list(PLAIN_OPTIONS) == list(inspect.signature(run_server).parameters)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--transport", "stdio"],
        ["--transport=http", "--host", "::1", "--port", "0"],
        ["--port", "8080", "--port=8081"],
        ["--path", "/run/socket", "--config", "a b.yaml", "--tools", "read_*, echo", "--log-level", "debug"],
        ["--host", "a=b", "--tools=x=y"],
    ],
    ids=" ".join,
)
def test_plain_options_are_read_as_by_the_command(arguments: list[str]) -> None:
    assert plain_options(arguments) == read_by_the_command(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["-c", "a.yaml"],
        ["--unknown", "1"],
        ["--log_level", "debug"],
        ["--transport", "smoke"],
        ["--port", "many"],
        ["--port"],
        ["--host="],
        ["--host", "-x"],
        ["argument"],
        ["--"],
    ],
    ids=" ".join,
)
def test_everything_else_is_left_to_the_command(arguments: list[str]) -> None:
    assert plain_options(arguments) is None


def test_a_path_is_a_path() -> None:
    assert plain_options(["--config", "x.yaml"]) == {"config": Path("x.yaml")}
