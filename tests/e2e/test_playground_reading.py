"""What the playground makes readable: command output, long messages, moments, and where to begin."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.chromium import Conduct, keep_screenshot, open_page, violations
from tests.e2e.playground_page import Playground
from tests.support.processes import PROJECT, HttpServer, http_server

CONFIG = Path(__file__).with_name("playground_plugin.yaml")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    variables = {"PYTHONPATH": str(PROJECT)}
    with http_server(CONFIG, directory=tmp_path_factory.mktemp("root"), variables=variables) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    conduct = Conduct()
    with open_page(browser, conduct, viewport={"width": 1440, "height": 900}, timezone_id="Asia/Tokyo") as opened:
        yield opened
        assert violations(opened) == []
    assert conduct.complaints == []


@pytest.fixture
def playground(page: Page, server: HttpServer) -> Playground:
    return Playground(page, server.origin)


def test_output_of_a_command_is_shown_as_a_terminal_shows_it(playground: Playground) -> None:
    playground.open(address="#tool/colourful")
    playground.press("Call")
    playground.expect_outcome("done", "^Done")
    assert playground.outcome.locator("pre").first.inner_text() == "red\n100 %\nexit code 0"
    structured = playground.outcome.get_by_text("Structured content").first
    structured.click()
    expect(playground.outcome).to_contain_text('"exit_code": 0')


def test_messages_are_filtered_hidden_and_without_long_base64(playground: Playground) -> None:
    playground.open(address="#tool/big_blob")
    playground.press("Call")
    playground.expect_outcome("done", "^Done")
    entries = playground.messages.get_by_role("listitem")
    playground.messages.get_by_role("searchbox", name="Filter messages").fill("result tools/call")
    expect(entries.filter(visible=True)).to_have_count(1)
    entries.filter(visible=True).locator("summary").click()
    expect(entries.filter(visible=True).locator("pre")).to_contain_text("… (3.0 KiB of base64)")
    toggle = playground.page.get_by_role("button", name="Messages")
    toggle.click()
    expect(playground.messages).to_have_count(0)
    playground.page.reload()
    playground.ready()
    expect(toggle).to_have_attribute("aria-pressed", "false")
    toggle.click()
    expect(playground.messages).to_be_visible()


def test_a_moment_is_picked_and_sent_in_utc(playground: Playground) -> None:
    playground.open(address="#tool/remind")
    expect(playground.field("at")).to_have_attribute("type", "datetime-local")
    playground.fill(at="2026-03-01T09:30:00")
    playground.press("Call")
    playground.expect_outcome("done", "^Done")
    assert playground.message("tools/call remind")["params"]["arguments"] == {"at": "2026-03-01T00:30:00.000Z"}
    playground.panel.get_by_role("radio", name="JSON").check()
    written = playground.panel.get_by_role("textbox", name="Arguments as JSON")
    assert json.loads(written.input_value()) == {"at": "2026-03-01T00:30:00.000Z"}
    written.fill('{"at": "2026-03-01T02:00:00+02:00"}')
    playground.panel.get_by_role("radio", name="Form").check()
    expect(playground.field("at")).to_have_value(re.compile("^2026-03-01T09:00"))


def test_the_first_page_suggests_what_to_try(playground: Playground) -> None:
    playground.open()
    tries = playground.panel.get_by_role("link")
    expect(tries).to_have_count(5)
    expect(playground.panel.get_by_text("need a key")).to_have_count(0)
    keep_screenshot(playground.page, "playground-first-page")
    tries.first.click()
    expect(playground.panel.get_by_text("read-only", exact=True)).to_be_visible()


def test_the_first_page_says_how_many_tools_need_a_key(browser: Browser, tmp_path: Path) -> None:
    with http_server({}, directory=tmp_path) as server, open_page(browser, Conduct()) as page:
        playground = Playground(page, server.origin)
        playground.open()
        expect(playground.panel).to_contain_text(re.compile(r"\d+ tools need a key and stay hidden without one"))
