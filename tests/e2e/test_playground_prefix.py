"""The playground behind a proxy that ends TLS and serves it beneath a path prefix, without `allowed_origins`."""

from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.e2e.chromium import Conduct, chromium, open_page, violations
from tests.e2e.playground_page import Playground
from tests.support.nginx import prefix_proxy, self_signed
from tests.support.processes import http_server

NAME = "tools.localhost"  # browsers resolve it to this machine; the server does not take it for loopback


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "removed"])
def test_the_page_works_behind_tls_beneath_a_prefix(tmp_path: Path, keeps: bool) -> None:
    section = {"base_path": "/tools", "allowed_hosts": [NAME], "playground": True}
    with (
        http_server({"server": section, "security": {"anonymous": "all", "require_key": False}}) as server,
        prefix_proxy(tmp_path, server.port, "/tools", keeps=keeps, certificate=self_signed(tmp_path, [NAME])) as port,
        sync_playwright() as playwright,
        chromium(playwright) as browser,
        open_page(browser, Conduct(), ignore_https_errors=True) as page,
    ):
        playground = Playground(page, f"https://{NAME}:{port}/tools")
        playground.open(address="#tool/echo")
        playground.fill(message="through")
        playground.press("Call")
        playground.expect_outcome("done", "^Done")
        assert violations(page) == []
