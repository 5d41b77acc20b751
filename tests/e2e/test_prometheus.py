"""The Prometheus of the tests scrapes a page as in production, and returns the samples."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from tests.support.processes import LOOPBACK, free_port
from tests.support.prometheus import Prometheus, Sample, prometheus


class Page(BaseHTTPRequestHandler):
    """Serves a counter that grows with each request, and a gauge with labels."""

    looks = count(1)

    def do_GET(self) -> None:
        body = (
            f"# TYPE looks_total counter\nlooks_total {next(self.looks)}\n"
            '# TYPE warmth gauge\nwarmth{room="hall"} 20.5\nwarmth{room="attic"} 12\n'
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def page() -> Iterator[int]:
    """Yield the port of a server with the page."""
    server = ThreadingHTTPServer((LOOPBACK, 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def scraping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with page() as port, prometheus(tmp_path_factory.mktemp("prometheus"), port, job="rooms") as running:
        yield running


def test_it_knows_the_values_and_labels_of_the_page(scraping: Prometheus) -> None:
    scraping.wait_for('warmth{room="hall"} == 20.5')
    found = {sample.labels["room"]: (sample.labels["job"], sample.value) for sample in scraping.query("warmth")}
    assert found == {"hall": ("rooms", 20.5), "attic": ("rooms", 12.0)}
    assert scraping.query("scalar(sum(warmth))") == (Sample({}, 32.5),)


def test_it_looks_again_and_again(scraping: Prometheus) -> None:
    (first,) = scraping.wait_for("looks_total")
    (later,) = scraping.wait_for("looks_total", lambda seen: seen and seen[0].value > first.value)
    assert later.labels["__name__"] == "looks_total"


def test_it_says_what_is_wrong_with_a_question(scraping: Prometheus) -> None:
    with pytest.raises(ValueError, match="parse error"):
        scraping.query("sum(")


def test_it_knows_that_nobody_answers(tmp_path: Path) -> None:
    with prometheus(tmp_path, free_port()) as running:
        (sample,) = running.wait_for("up")
        assert (sample.labels["job"], sample.value) == ("tfo-mcp", 0)
        with pytest.raises(TimeoutError, match="last seen"):
            running.wait_for("up == 1", seconds=0.3)
