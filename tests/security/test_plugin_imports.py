"""Plugin imports: whatever a plugin's module raises is one clear error at start, and a reload that changes nothing."""

import json
from pathlib import Path

import pytest

from tests.support.envelopes import LATEST_HANDSHAKE
from tests.support.processes import run_command
from tests.support.services import services

IMPORTS = [
    'raise SystemExit("secret")',
    "raise KeyboardInterrupt",
    "raise BaseException('odd')",
    "raise BaseExceptionGroup('odd', [SystemExit()])",
    "import sys; sys.exit(7)",
    "import asyncio; raise asyncio.CancelledError",
    "class Mute(Exception):\n    def __str__(self): raise SystemExit\nraise Mute",
    "raise RuntimeError('one\\ntwo')",
    "from tfo_mcp.plugins import tool\n@tool(hints=5, icons=7)\ndef f(): pass",
    "from tfo_mcp.plugins import tool\nclass Icons:\n    def __iter__(self): raise SystemExit\n"
    "@tool(icons=Icons())\ndef f(): pass",
    "from tfo_mcp.plugins import prompt\n@prompt(complete=5)\ndef f(a: str) -> str: return a",
]
GOOD = "from tfo_mcp.plugins import tool\n@tool()\ndef fine() -> str:\n    return 'fine'\n"


def configured(place: Path, source: str) -> Path:
    """Write a plugin and a configuration that loads it."""
    (place / "raising.py").write_text(source)
    config = place / "tfo-mcp.yaml"
    config.write_text(json.dumps({"mcp": {"plugins": ["raising"]}}))
    return config


class TestImports:
    @pytest.mark.parametrize("source", IMPORTS)
    @pytest.mark.parametrize(
        "line",
        [["validate"], ["list", "tools"], ["call", "echo", "{}"], ["serve", "--transport", "stdio"]],
        ids=" ".join,
    )
    def test_a_module_that_raises_is_one_clear_error(self, tmp_path: Path, source: str, line: list[str]) -> None:
        done = run_command(*line, "--config", configured(tmp_path, source))
        assert done.returncode == 2, (done.returncode, done.stderr)
        (message,) = done.stderr.splitlines()
        assert message.startswith("tfo-mcp: Plugin 'raising' cannot be ")

    def test_objects_that_cannot_be_looked_at_are_left_alone(self, tmp_path: Path) -> None:
        source = f"{GOOD}\nclass Odd:\n    def __getattr__(self, name): raise SystemExit\nodd = Odd()\n"
        done = run_command("call", "fine", "{}", "--config", configured(tmp_path, source))
        assert (done.returncode, done.stdout) == (0, "fine\n")

    @pytest.mark.parametrize("source", IMPORTS)
    def test_a_reload_that_raises_changes_nothing_and_says_why(self, tmp_path: Path, source: str) -> None:
        config = configured(tmp_path, GOOD)
        with services(config, {"XDG_STATE_HOME": str(tmp_path)}) as own:
            conversation = own.shared("stdio", LATEST_HANDSHAKE)
            (tmp_path / "raising.py").write_text(source)
            done = run_command("reload", "--config", config, variables={"XDG_STATE_HOME": str(tmp_path)})
            assert done.returncode == 1, done.stderr
            assert "Plugin 'raising' cannot be " in done.stderr
            assert conversation.text("fine") == "fine"
