"""The playground page at `/` in headless Chromium: its use in both eras, and its content security.

Each test has a browser context of its own. The server, with all transports on one port, and the browser are shared.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.chromium import Conduct, keep_screenshot, open_page, violations
from tests.e2e.deployment import REVISIONS, Era
from tests.e2e.playground_page import Playground
from tests.e2e.playground_plugin import MARKUP
from tests.support.deadlines import wait_until
from tests.support.envelopes import META_PREFIX
from tests.support.guarded import guarded
from tests.support.processes import LOOPBACK, PROJECT, HttpServer, http_server

PLAYGROUND_CONFIG = Path(__file__).with_name("playground_plugin.yaml")
VARIABLES = {"PYTHONPATH": str(PROJECT)}
ERAS: tuple[Era, ...] = ("stateless", "handshake")
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 360, "height": 740}
MOST_MESSAGES = 300

in_both_eras = pytest.mark.parametrize("era", ERAS)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's working directory and only file root."""
    path = tmp_path_factory.mktemp("root")
    (path / "notes.txt").write_text("read me äöü", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[HttpServer]:
    with http_server(PLAYGROUND_CONFIG, directory=root, variables=VARIABLES) as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: HttpServer) -> Iterator[Page]:
    """A page that must not log errors, violate its policy or contact any other server."""
    conduct = Conduct()
    permissions = ["clipboard-read", "clipboard-write"]
    with open_page(browser, conduct, viewport=WIDE, permissions=permissions) as opened:
        yield opened
        assert violations(opened) == []
    assert conduct.complaints == []
    assert conduct.places <= {f"{LOOPBACK}:{server.port}", "data", "blob"}


@pytest.fixture
def playground(page: Page, server: HttpServer) -> Playground:
    return Playground(page, server.origin)


@in_both_eras
def test_the_page_connects_and_lists_all_pages_of_tools_resources_and_prompts(playground: Playground, era: Era) -> None:
    playground.open(era)
    links = playground.catalog.get_by_role("link")
    for name in ("echo", "write_file", "query_metrics", "config://server", "file:///{path}", "debug_help"):
        expect(links.filter(has_text=name)).to_have_count(1)
    shown = playground.message("result initialize" if era == "handshake" else "result server/discover")
    assert "capabilities" in shown["result"]
    expect(playground.panel.get_by_role("definition").filter(has_text=REVISIONS[era])).to_be_visible()


@in_both_eras
def test_a_tool_is_called_from_the_form_of_its_schema(playground: Playground, era: Era) -> None:
    playground.open(era)
    playground.choose("echo")
    expect(playground.panel.get_by_text("read-only")).to_be_visible()
    playground.fill(message=MARKUP)
    playground.press("Call")
    playground.expect_outcome("done", r"^Done \d+ ms$")
    assert playground.outcome.locator("pre").inner_text() == MARKUP
    sent = playground.message("tools/call echo")["params"]
    assert (sent["name"], sent["arguments"]) == ("echo", {"message": MARKUP})
    assert "progressToken" in sent["_meta"]
    assert sent["_meta"].get(f"{META_PREFIX}protocolVersion") == (REVISIONS[era] if era == "stateless" else None)


def test_the_keyboard_alone_is_enough(playground: Playground) -> None:
    playground.open()
    keyboard = playground.page.keyboard
    playground.catalog.get_by_role("searchbox").focus()
    keyboard.type("echo")
    keyboard.press("Tab")  # to the group
    keyboard.press("Tab")  # to its only link
    keyboard.press("Enter")
    expect(playground.field("message")).to_be_focused()
    keyboard.type("one")
    keyboard.press("Shift+Enter")
    keyboard.type("two")
    keyboard.press("Control+Enter")
    playground.expect_outcome("done", "^Done")
    assert playground.outcome.locator("pre").inner_text() == "one\ntwo"
    expect(playground.field("message")).to_be_focused()


def test_a_file_is_read_and_a_missing_one_is_an_error_of_the_tool(playground: Playground) -> None:
    playground.open(address="#tool/read_file")
    playground.fill(path="notes.txt")
    playground.field("path").press("Enter")
    playground.expect_outcome("done", "^Done")
    expect(playground.outcome).to_contain_text("read me äöü")
    playground.fill(path="missing.txt")
    playground.press("Call")
    playground.expect_outcome("failed", "^The tool reports an error")
    expect(playground.outcome).to_contain_text("missing.txt: no such file")


@in_both_eras
def test_progress_and_logs_are_shown_while_a_tool_runs(playground: Playground, root: Path, era: Era) -> None:
    (root / era).mkdir()
    playground.open(era, "#tool/count_and_wait")
    playground.fill(number="4", folder=era)
    playground.press("Call")
    expect(playground.outcome.get_by_text("4 of 4: step 4")).to_be_visible()
    playground.expect_outcome("running", "^Running")
    bar = playground.outcome.get_by_role("progressbar")
    assert bar.evaluate("it => [it.value, it.max]") == [4, 4]
    (root / era / "go").touch()
    playground.expect_outcome("done", "^Done")
    playground.choose("count_to")
    playground.fill(number="3")
    playground.press("Call")
    playground.expect_outcome("done", "^Done")
    lines = playground.outcome.get_by_role("listitem")
    expect(lines).to_have_text([f'info counting {{"step":{step}}}' for step in (1, 2, 3)])


@in_both_eras
def test_a_running_call_is_cancelled(playground: Playground, root: Path, era: Era) -> None:
    folder = root / f"cancel-{era}"
    folder.mkdir()
    playground.open(era, "#tool/wait_here")
    playground.fill(folder=folder.name)
    playground.press("Call")
    wait_until((folder / "started").exists, "the tool has started")
    playground.press("Cancel")
    playground.expect_outcome("cancelled", "^Cancelled")
    wait_until((folder / "cancelled").exists, "the tool was cancelled")
    assert (
        playground.message("notifications/cancelled")["params"]["requestId"]
        == (playground.message("tools/call wait_here")["id"])
    )


def test_a_button_below_suggestions_is_pressed_with_one_click(playground: Playground) -> None:
    playground.open()
    playground.choose("file:///{path}")
    playground.fill(path="note")
    suggestions = playground.panel.get_by_role("group", name="Suggestions")
    expect(suggestions).to_be_visible()
    playground.press("Read")
    playground.expect_outcome("error", "^Error")
    expect(suggestions).to_be_hidden()


def test_a_resource_is_read_by_its_template_and_one_that_is_not_there_is_a_protocol_error(
    playground: Playground,
) -> None:
    playground.open()
    playground.choose("file:///{path}")
    playground.fill(path="notes.txt")
    expect(playground.panel.get_by_text("file:///notes.txt")).to_be_visible()
    playground.press("Read")
    playground.expect_outcome("done", "^Done")
    expect(playground.outcome.locator("pre")).to_have_text("read me äöü")
    playground.page.goto(playground.origin + "/#resource/note%3A%2F%2Fmissing")
    playground.shows("note://missing")
    playground.press("Read")
    playground.expect_outcome("error", r"^Error -32602")
    expect(playground.outcome).to_contain_text("resource_not_found")


def test_a_prompt_is_got_with_arguments_that_the_server_completes(playground: Playground) -> None:
    playground.open()
    playground.choose("code_review")
    playground.fill(code="print(1)")
    playground.field("language").press_sequentially("pyth")
    playground.panel.get_by_role("group", name="Suggestions").get_by_role("button", name="Python").click()
    playground.press("Get")
    playground.expect_outcome("done", "^Done")
    expect(playground.outcome).to_contain_text("Review this Python code.")
    assert playground.message("prompts/get code_review")["params"]["arguments"] == {
        "code": "print(1)",
        "language": "Python",
    }


def test_a_form_has_a_field_for_every_kind_of_argument(playground: Playground) -> None:
    playground.open(address="#tool/query_metrics")
    playground.press("Call")
    expect(playground.field("metric")).to_be_focused()  # the browser enforces the required field
    playground.fill(metric="requests", start="2026-01-01", minutes="7", threshold="0.25")
    playground.field("aggregate").select_option("max")
    playground.field("include_empty").check()
    playground.fill(labels='[{"name": "zone", "value": "eu"}]')
    services = playground.panel.get_by_role("group", name=re.compile("^services"))
    for name in ("checkout", "cart"):
        services.get_by_role("button", name="Add an entry").click()
        services.get_by_role("textbox").last.fill(name)
    services.get_by_role("button", name="Remove this entry of services").first.click()
    playground.press("Call")
    playground.expect_outcome("done", "^Done")
    assert json.loads(playground.outcome.locator("pre").inner_text()) == {
        "metric": "requests",
        "window": {"start": "2026-01-01", "minutes": 7},
        "aggregate": "max",
        "services": ["cart"],
        "quantiles": [0.5],
        "labels": [{"name": "zone", "value": "eu"}],
        "threshold": 0.25,
        "include_empty": True,
        "baseline": None,
    }
    keep_screenshot(playground.page, "playground-form")


def test_arguments_can_be_written_as_json_and_become_a_form_again_where_they_fit(playground: Playground) -> None:
    playground.open(address="#tool/list_directory")
    form, text = playground.panel.get_by_role("radio", name="Form"), playground.panel.get_by_role("radio", name="JSON")
    written = playground.panel.get_by_role("textbox", name="Arguments as JSON")
    text.check()
    assert json.loads(written.input_value()) == {"path": ".", "recursive": False, "details": True}
    written.fill('{"path": "elsewhere", "recursive": true}')
    form.check()
    expect(playground.field("path")).to_have_value("elsewhere")
    expect(playground.field("recursive")).to_be_checked()
    text.check()
    written.fill('{"path": ".", "deep": 3}')
    form.click()
    expect(playground.panel.get_by_role("alert")).to_have_text("It stays JSON: the form has no field “deep”")
    playground.press("Call")
    playground.expect_outcome("failed", "^The tool reports an error")
    expect(playground.outcome).to_contain_text("deep")


def test_every_kind_of_content_is_shown_and_markup_stays_text(playground: Playground) -> None:
    playground.open(address="#tool/exhibit")
    playground.press("Call")
    playground.expect_outcome("done", "^Done")
    assert playground.outcome.locator("pre").first.inner_text() == MARKUP
    expect(playground.outcome.get_by_role("img")).to_have_js_property("naturalWidth", 1)
    expect(playground.outcome.locator("audio")).to_have_js_property("readyState", 4)
    expect(playground.outcome.get_by_text("a note")).to_be_visible()
    with playground.page.expect_download() as saving:
        playground.outcome.locator(".card", has_text="note://blob").get_by_role("button", name="Save").click()
    assert saving.value.path().read_bytes() == b"\x00\xff" * 8
    playground.outcome.get_by_role("link", name="Open this resource").click()
    playground.press("Read")
    playground.expect_outcome("done", "^Done")
    expect(playground.outcome).to_contain_text('"status": "ok"')


def test_messages_can_be_opened_copied_and_cleared_and_are_not_kept_for_ever(playground: Playground) -> None:
    playground.open(address="#tool/echo")
    playground.fill(message="copy me")
    playground.press("Call")
    playground.expect_outcome("done", "^Done")
    message = playground.message("result tools/call")
    playground.messages.get_by_role("button", name="Copy", exact=True).click()
    assert json.loads(playground.page.evaluate("navigator.clipboard.readText()")) == message
    entries = playground.messages.get_by_role("listitem")
    playground.messages.get_by_role("button", name="Clear").click()
    expect(entries).to_have_count(0)
    playground.choose("count_to")
    playground.fill(number="160")
    for _ in range(2):
        playground.press("Call")
        playground.expect_outcome("done", "^Done")
    expect(entries).to_have_count(MOST_MESSAGES)
    expect(playground.messages.get_by_role("heading")).to_have_text(re.compile(rf"latest {MOST_MESSAGES} of \d+"))


@in_both_eras
def test_what_is_added_while_the_page_is_open_appears(playground: Playground, era: Era) -> None:
    playground.open(era, "#tool/grow")
    playground.fill(name=f"late_{era}")
    playground.press("Call")
    links = playground.catalog.get_by_role("link").filter(has_text=f"late_{era}")
    expect(links).to_have_text([f"late_{era}", f"grown://late_{era}", f"late_{era}"])


def test_reconnecting_ends_what_runs_and_keeps_what_was_filled_in(playground: Playground, root: Path) -> None:
    folder = root / "reconnect"
    folder.mkdir()
    playground.open(address="#tool/wait_here")
    playground.fill(folder=folder.name)
    playground.press("Call")
    wait_until((folder / "started").exists, "the tool has started")
    playground.page.get_by_role("button", name="Reconnect").click()
    playground.expect_outcome("lost", "^The page closed the connection")
    wait_until((folder / "cancelled").exists, "the tool was cancelled")
    playground.ready()
    (folder / "go").touch()
    playground.press("Call")
    playground.expect_outcome("done", "^Done")


def test_the_reason_is_shown_when_the_server_stops(browser: Browser, tmp_path: Path) -> None:
    with (
        http_server(PLAYGROUND_CONFIG, directory=tmp_path, variables=VARIABLES) as server,
        open_page(browser, Conduct(), viewport=WIDE) as page,  # which reports the failed connections
    ):
        playground = Playground(page, server.origin)
        playground.open()
        server.child.stop()
        expect(playground.notice).to_contain_text("The connection was closed: 1012, the server restarts or stops.")
        page.get_by_role("button", name="Connect", exact=True).click()
        expect(playground.notice).to_contain_text("the server is gone or unreachable")


def test_a_server_that_asks_who_calls_is_shown_a_key(browser: Browser, tmp_path: Path) -> None:
    with guarded(tmp_path, mcp={"plugins": []}) as gate, open_page(browser, Conduct(), viewport=WIDE) as page:
        key = gate.key("tools:read", "tools:write")
        playground = Playground(page, gate.server.origin)
        page.goto(gate.server.origin)
        expect(playground.notice).to_contain_text("could not be opened: the server needs an API key: enter it above.")
        page.get_by_label("API key").fill("no-such-key")
        page.get_by_role("button", name="Connect", exact=True).click()
        expect(playground.notice).to_contain_text("the server does not accept this API key or token.")
        page.get_by_label("API key").fill(key)
        page.get_by_label("API key").press("Enter")
        playground.ready()
        playground.choose("write_file")
        expect(playground.catalog.get_by_text("execute_command")).to_have_count(0)
        gate.keys("revoke", key.split("_")[1])
        expect(playground.notice).to_contain_text("the API key or token is no longer valid")


def test_the_page_fits_a_narrow_screen_in_the_dark(browser: Browser, server: HttpServer) -> None:
    with open_page(browser, Conduct(), viewport=NARROW, color_scheme="dark") as page:
        playground = Playground(page, server.origin)
        playground.open(address="#tool/query_metrics")
        playground.fill(metric="requests", start="2026-01-01")
        playground.press("Call")
        playground.expect_outcome("done", "^Done")
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        keep_screenshot(page, "playground-narrow")


def test_the_policy_forbids_what_the_page_does_not_need(browser: Browser, server: HttpServer) -> None:
    with open_page(browser, Conduct()) as page:
        response = page.goto(server.origin)
        assert response is not None
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1) style=color:red>')")
        expected = {"script-src-attr", "style-src-attr"}
        wait_until(lambda: {noted.partition(":")[0] for noted in violations(page)} == expected, "it forbids both")
