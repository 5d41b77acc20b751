"""axe-core finds nothing on any page of the playground, in both colour schemes, on a desktop and on a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.e2e.chromium import Conduct, keep_screenshot, open_page
from tests.e2e.playground_page import Playground
from tests.support.processes import PROJECT, HttpServer, http_server

AXE = PROJECT / "node_modules" / "axe-core" / "axe.min.js"
CONFIG = Path(__file__).with_name("playground_plugin.yaml")
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
PAGES = (
    "",
    "#tool/query_metrics",
    "#tool/remind",
    "#resource/status%3A%2F%2Fhealth",
    "#template/file%3A%2F%2F%2F%7Bpath%7D",
    "#prompt/code_review",
    "#tool/no",
)
EXPLAINED = (
    "async () => (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`)"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    variables = {"PYTHONPATH": str(PROJECT)}
    with http_server(CONFIG, directory=tmp_path_factory.mktemp("root"), variables=variables) as running:
        yield running


def found(page: Page) -> list[str]:
    """Return the violations that axe-core finds on the page as it is now."""
    page.evaluate(AXE.read_text(encoding="utf-8"))  # an evaluation is not subject to the page's policy
    violations: list[str] = page.evaluate(EXPLAINED)
    return violations


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "viewport"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_axe_finds_nothing(
    browser: Browser, server: HttpServer, scheme: Literal["light", "dark"], device: str, viewport: ViewportSize
) -> None:
    with open_page(browser, Conduct(), viewport=viewport, color_scheme=scheme) as page:
        playground = Playground(page, server.origin)
        problems: dict[str, list[str]] = {}
        playground.open()
        for address in PAGES:
            page.goto(f"{server.origin}/{address}")
            expect(playground.panel.get_by_role("heading", level=2)).to_be_visible()
            problems[address] = found(page)
        page.goto(f"{server.origin}/#tool/exhibit")
        playground.press("Call")
        playground.expect_outcome("done", "^Done")
        problems["a result"] = found(page)
        keep_screenshot(page, f"playground-result-{device}-{scheme}")
        playground.messages.get_by_role("listitem").last.locator("summary").click()
        problems["a message"] = found(page)
        page.goto(f"{server.origin}/#tool/workplaces")
        playground.press("Call")
        playground.expect_outcome("error", "^Error")
        problems["an error"] = found(page)
        page.goto(f"{server.origin}/#tool/greet")
        playground.press("Call")
        expect(page.get_by_role("dialog")).to_be_visible()
        problems["a question"] = found(page)
        keep_screenshot(page, f"playground-question-{device}-{scheme}")
        page.keyboard.press("Escape")
        page.goto(f"{server.origin}/#tool/consult")
        playground.fill(question="Which?")
        playground.press("Call")
        expect(page.get_by_role("dialog")).to_be_visible()
        problems["a request for a model"] = found(page)
        assert {place: rules for place, rules in problems.items() if rules} == {}
