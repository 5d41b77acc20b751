"""Page object of the playground: finds elements by roles and labels, like a screen reader.

Owns the locations of elements on the page, and asserts only that they are present.
"""

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.e2e.deployment import REVISIONS, Era


class Playground:
    """An open page."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.catalog = page.get_by_role("navigation")
        self.panel = page.get_by_role("main")
        self.outcome = self.panel.locator(".outcome")
        self.messages = page.get_by_role("region", name="Messages")
        self.notice = page.get_by_role("alert").and_(page.locator("#notice"))

    def open(self, era: Era = "stateless", address: str = "") -> None:
        """Load the page and wait until it has connected and listed everything."""
        self.page.goto(self.origin + "/" + address)
        self.ready()
        if era != "stateless":
            self.page.get_by_label("Revision").select_option(REVISIONS[era])
            self.ready()

    def ready(self) -> None:
        """Wait until the page is connected and has all lists."""
        self.page.locator("nav[aria-busy=false]").wait_for()
        expect(self.page.get_by_role("status").first).to_have_text(re.compile("^Connected · tfo-mcp"))

    def choose(self, name: str) -> None:
        """Choose an entry of the catalog and wait until its panel is shown."""
        self.catalog.get_by_role("link").filter(has=self.page.get_by_text(name, exact=True)).click()
        self.shows(name)

    def shows(self, name: str) -> None:
        """Wait until the panel shows this tool, resource, template or prompt."""
        expect(self.panel.get_by_role("heading", level=2).get_by_role("code")).to_have_text(name)

    def field(self, name: str) -> Locator:
        """Return the visible field of that name."""
        return self.panel.get_by_label(re.compile(rf"^{name}(?!\w)")).filter(visible=True)

    def fill(self, **texts: str) -> None:
        """Fill in text fields."""
        for name, text in texts.items():
            self.field(name).fill(text)

    def press(self, name: str) -> None:
        """Press a button of the panel."""
        self.panel.get_by_role("button", name=name, exact=True).click()

    def expect_outcome(self, state: str, words: str) -> None:
        """Wait until the call has this state and its status matches `words`."""
        self.panel.locator(f".outcome[data-state={state}]").wait_for()
        expect(self.outcome.get_by_role("status")).to_have_text(re.compile(words))

    def message(self, label: str) -> Any:
        """Open the latest message with this label and return its JSON."""
        entry = self.messages.get_by_role("listitem").filter(has_text=label).last
        entry.locator("summary").click()
        return json.loads(entry.locator("pre").inner_text())
