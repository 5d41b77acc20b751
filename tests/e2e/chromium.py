"""A headless Chromium, driven by Playwright, with records of its pages' errors, requests and policy violations.

Owns the start of the machine's browser and the record of what a page must never do: log errors, violate its content
security policy, or contact another server. Knows no content of a page.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, expect

from tests.support.deadlines import PATIENCE
from tests.support.processes import PROJECT

ARTEFACTS = PROJECT / "test-artifacts"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NOTE_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective}: ${event.blockedURI}`);
});
"""


class NoBrowserError(Exception):
    """Chromium is not installed."""


@contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Run the machine's Chromium with a fresh profile until the end of the block.

    Raises:
        NoBrowserError: Chromium is not installed; `make test-deps` installs it.
    """
    executable = shutil.which("chromium")
    if executable is None:
        raise NoBrowserError("There is no `chromium` on the PATH: `make test-deps` installs it where there is apt-get")
    expect.set_options(timeout=PATIENCE * 1000)
    browser = playwright.chromium.launch(executable_path=executable, headless=True, args=FLAGS)
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class Conduct:
    """The console messages, errors and requests of a page."""

    complaints: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Record this page from now on."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"{error}\n{error.stack}"))
        page.on("request", lambda request: self.addresses.append(request.url))
        page.on("websocket", lambda socket: self.addresses.append(socket.url))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    @property
    def places(self) -> set[str]:
        """The targets of the page's requests: hosts with ports, or the scheme of a URL without a host."""
        return {parts.netloc or parts.scheme for parts in map(urlsplit, self.addresses)}


@contextmanager
def open_page(browser: Browser, conduct: Conduct, **options: Any) -> Iterator[Page]:
    """Yield an empty page in a new browser context with these options."""
    with browser.new_context(**options) as context:
        context.set_default_timeout(PATIENCE * 1000)
        context.add_init_script(NOTE_VIOLATIONS)
        page = context.new_page()
        conduct.watch(page)
        yield page


def violations(page: Page) -> list[str]:
    """Return the violations of the content security policy since the page was loaded."""
    found: list[str] = page.evaluate("window.violations")
    return found


def keep_screenshot(page: Page, name: str) -> Path:
    """Save a screenshot of the whole page with the test artefacts, and return its path."""
    ARTEFACTS.mkdir(exist_ok=True)
    path = ARTEFACTS / f"{name}.png"
    page.screenshot(path=path, full_page=True, animations="disabled")
    return path
