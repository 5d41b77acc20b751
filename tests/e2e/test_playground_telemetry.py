"""The playground draws traces as waterfalls and log patterns as bars, from the results of the telemetry tools."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.chromium import Conduct, keep_screenshot, open_page, violations
from tests.e2e.playground_page import Playground
from tests.e2e.test_playground_accessibility import DESKTOP, PHONE, found
from tests.support.otlp_json import send_records
from tests.support.processes import HttpServer, http_server
from tests.support.telemetry_records import TRACE_ID, shop_logs, shop_trace
from tests.support.telemetry_stores import telemetry_store

ITEMS = 4
SPANS = 10 + 4 * ITEMS
LENGTH_MS = 60 + 20 * ITEMS


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with telemetry_store({"max_age_seconds": 10**9}) as store:
        send_records(store.http, shop_trace(ITEMS), shop_logs())
        variables = {"XDG_STATE_HOME": os.fspath(store.home), "TELEMETRYFLOW_MCP_TELEMETRY_STORE": "embedded"}
        with http_server(variables=variables) as running:
            yield running


@pytest.fixture(params=[("desktop", DESKTOP), ("phone", PHONE)], ids=lambda param: param[0])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    conduct = Conduct()
    device, viewport = request.param
    with open_page(browser, conduct, viewport=viewport) as opened:
        yield opened
        assert found(opened) == []
        assert violations(opened) == []
        keep_screenshot(opened, f"playground-{request.node.originalname.removeprefix('test_')}-{device}")
    assert conduct.complaints == []


@pytest.fixture
def playground(page: Page, server: HttpServer) -> Playground:
    return Playground(page, server.origin)


def place_of(row: Locator) -> tuple[float, float]:
    """Return where the bar of a row begins and how long it is, as parts of the width of the picture."""
    bar, picture = row.locator("rect").bounding_box(), row.locator("xpath=..").bounding_box()
    assert bar is not None
    assert picture is not None
    return (bar["x"] - picture["x"]) / picture["width"], bar["width"] / picture["width"]


def test_a_trace_in_a_result_opens_as_a_waterfall(playground: Playground) -> None:
    playground.open(address="#tool/get_trace")
    playground.fill(trace_id=TRACE_ID)
    playground.press("Call")
    playground.expect_outcome("done", "^Done")
    playground.outcome.get_by_text("Show a trace as a waterfall").click()
    playground.outcome.get_by_role("link", name=TRACE_ID).click()
    playground.shows(f"telemetry://trace/{TRACE_ID}")
    playground.press("Read")
    playground.expect_outcome("done", "^Done")
    picture = playground.outcome.get_by_role("img")
    expect(picture).to_have_attribute("aria-label", f"Waterfall: {LENGTH_MS} ms, {SPANS} spans, 4 services, 2 errors")
    rows = picture.locator("g:not(.axis)")
    expect(rows).to_have_count(SPANS)
    expect(rows.nth(0).locator("text")).to_have_text(f"POST /checkout [gateway] {LENGTH_MS} ms")
    assert place_of(rows.nth(0)) == pytest.approx((0, 1), abs=0.01)
    payment = rows.filter(has_text="POST /pay [orders]")
    expect(payment.locator("text")).to_have_text("POST /pay [orders] 40 ms, error")
    expect(payment).to_have_class("failed")
    assert place_of(payment) == pytest.approx(((5 + 20 * ITEMS) / LENGTH_MS, 40 / LENGTH_MS), abs=0.01)


def test_log_patterns_in_a_result_are_drawn_as_bars(playground: Playground) -> None:
    playground.open(address="#tool/search_logs")
    playground.fill(**{"from": "2025-11-29T09:00:00Z", "to": "2025-11-29T11:00:00Z"})
    playground.press("Call")
    playground.expect_outcome("done", "^Done")
    picture = playground.outcome.get_by_role("img")
    expect(picture).to_have_attribute("aria-label", "Log patterns: 6 patterns, 2000 records")
    rows = picture.locator("g")
    expect(rows).to_have_count(6)
    failure = rows.filter(has_text="Payment of order")
    expect(failure).to_have_class("failed")
    expect(failure.locator("text")).to_contain_text("20 × Payment of order")
    assert place_of(failure) == pytest.approx((0, 20 / 396), abs=0.01)
    assert max(place_of(rows.nth(index))[1] for index in range(6)) == pytest.approx(1, abs=0.01)
    playground.outcome.get_by_text("Show a trace as a waterfall").click()
    expect(playground.outcome.get_by_role("link", name=TRACE_ID)).to_be_visible()


def test_texts_without_telemetry_have_no_picture(playground: Playground) -> None:
    playground.open(address="#tool/echo")
    playground.fill(message=f'{{"resourceSpans":[{{}}]}} {TRACE_ID}')
    playground.press("Call")
    playground.expect_outcome("done", "^Done")
    expect(playground.outcome).to_contain_text(TRACE_ID)
    expect(playground.outcome.get_by_role("img")).to_have_count(0)
    expect(playground.outcome.get_by_text("Show a trace as a waterfall")).to_have_count(0)
