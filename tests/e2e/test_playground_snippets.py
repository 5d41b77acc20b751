"""A call that is copied from the playground runs as a command of curl and as a program in Python."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.chromium import Conduct, open_page
from tests.e2e.playground_page import Playground
from tests.support.deadlines import PATIENCE
from tests.support.guarded import guarded
from tests.support.processes import PROJECT, HttpServer, http_server

CONFIG = Path(__file__).with_name("playground_plugin.yaml")
NASTY = 'it\'s "here" $HOME `id` \\ ü\n!'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    variables = {"PYTHONPATH": str(PROJECT)}
    with http_server(CONFIG, directory=tmp_path_factory.mktemp("root"), variables=variables) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with open_page(browser, Conduct(), permissions=["clipboard-read", "clipboard-write"]) as opened:
        yield opened


def copied(playground: Playground, kind: str) -> str:
    """Press the button and return what it has copied."""
    playground.page.evaluate("navigator.clipboard.writeText('')")
    playground.panel.get_by_role("button", name=f"Copy as {kind}").click()
    playground.page.wait_for_function("async () => (await navigator.clipboard.readText()) !== ''")
    text: str = playground.page.evaluate("navigator.clipboard.readText()")
    return text


def run(*line: str, key: str = "") -> str:
    """Run a program as a user would, and return its output."""
    variables = {**os.environ, "NO_PROXY": "*", "TFO_MCP_KEY": key}
    done = subprocess.run(line, env=variables, capture_output=True, text=True, timeout=6 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_call_of_a_tool_runs_elsewhere(page: Page, server: HttpServer) -> None:
    playground = Playground(page, server.origin)
    playground.open(address="#tool/anything")
    playground.panel.get_by_role("radio", name="JSON").check()
    given = {"text": NASTY, "yes": True, "nothing": None, "list": [1, 2.5, {"a": False}]}
    playground.panel.get_by_role("textbox", name="Arguments as JSON").fill(json.dumps(given))
    command = copied(playground, "curl")
    assert json.loads(run("sh", "-c", command))["result"]["structuredContent"] == given
    program = copied(playground, "Python")
    compile(program, "copied", "exec")
    assert repr(given)[1:-1] in run(sys.executable, "-c", program)


@pytest.mark.parametrize(
    ("address", "fields", "expected"),
    [
        ("#resource/status%3A%2F%2Fhealth", {}, "status://health"),
        ("#prompt/code_review", {"code": NASTY}, "Review this code"),
    ],
)
def test_resources_and_prompts_are_copied_as_well(
    page: Page, server: HttpServer, address: str, fields: dict[str, str], expected: str
) -> None:
    playground = Playground(page, server.origin)
    playground.open(address=address)
    playground.fill(**fields)
    assert expected in json.dumps(json.loads(run("sh", "-c", copied(playground, "curl")))["result"])
    assert expected in run(sys.executable, "-c", copied(playground, "Python"))


def test_a_key_is_named_and_not_copied(page: Page, tmp_path: Path) -> None:
    with guarded(tmp_path, server={"playground": True}) as gate:
        key = gate.key("tools:read")
        playground = Playground(page, gate.server.origin)
        page.goto(f"{gate.server.origin}/#tool/system_info")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Connect").click()
        playground.ready()
        for kind, line in (("curl", ("sh", "-c")), ("Python", (sys.executable, "-c"))):
            text = copied(playground, kind)
            assert key not in text
            assert "TFO_MCP_KEY" in text
            assert "platform" in run(*line, text, key=key).lower()
