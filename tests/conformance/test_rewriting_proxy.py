"""The proxy that makes the suite speak older revisions replaces every occurrence, however the bytes are split."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.conformance.rewriting_proxy import Replacement, rewriting_proxy
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE
from tests.support.http_client import http_client
from tests.support.processes import HttpServer, http_server

OLD, NEW = b"abcabd", b"xyzxab"  # both contain beginnings of the old one
SAID = b"-abcabd-abcabcabd-abcabdabcabd-cabd-abcab"
PASSED = b"-xyzxab-abcxyzxab-xyzxabxyzxab-cabd-abcab"


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with http_server() as server:
        yield server


@pytest.mark.parametrize("size", range(1, len(OLD) + 2))
def test_all_is_replaced_however_the_stream_is_cut(size: int) -> None:
    for first in range(size):
        replacement = Replacement(OLD, NEW)
        cuts = pairwise([0, *range(first, len(SAID), size), len(SAID)])
        passed = b"".join(replacement.feed(SAID[start:end]) for start, end in cuts)
        assert passed + replacement.finish() == PASSED


def test_only_what_may_be_a_beginning_is_held_back() -> None:
    replacement = Replacement(OLD, NEW)
    assert replacement.feed(b"-abcab") == b"-"
    assert replacement.feed(b"-ab") == b"abcab-"
    assert replacement.feed(b"-") == b"ab-"


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_a_client_that_asks_for_the_latest_revision_is_served_another(server: HttpServer, revision: str) -> None:
    with rewriting_proxy(server, LATEST_HANDSHAKE, revision) as proxy, http_client(proxy.url) as client:
        session = client.handshake(LATEST_HANDSHAKE)
        assert session.revision == revision
        assert session.call("tools/list").result["tools"]
