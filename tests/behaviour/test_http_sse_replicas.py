"""HTTP+SSE with two workers: a message may be posted to either, and its reply arrives on the stream (R102, R103)."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http import HTTPStatus

import httpx
import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import HANDSHAKE_REVISIONS, request, response
from tests.support.http_client import HttpClient
from tests.support.processes import HttpServer
from tests.support.redis_server import redis_server
from tests.support.sse_conversation import SseConversation
from tests.support.streamable_http import call_of
from tests.support.workers import client_of_each, pids, server_at

OLDEST = HANDSHAKE_REVISIONS[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    folder = tmp_path_factory.mktemp("workers")
    with redis_server() as redis, server_at(folder, redis) as running:
        yield running


@pytest.fixture
def workers(server: HttpServer) -> Iterator[dict[int, HttpClient]]:
    """A client of each worker, by its process id."""
    with client_of_each(server) as clients:
        yield clients


@pytest.fixture
def conversation(server: HttpServer) -> Iterator[SseConversation]:
    with closing(SseConversation(server, HANDSHAKE_REVISIONS[-1], {"elicitation": {}})) as running:
        running.handshake()
        yield running


def post(client: HttpClient, server: HttpServer, endpoint: str, content: object) -> httpx.Response:
    """POST a message on the connection of a client, which is one of a certain worker."""
    given = {"content": content} if isinstance(content, bytes) else {"json": content}
    return client.http.post(f"{server.origin}{endpoint}", headers={"Content-Type": "application/json"}, **given)


def is_unknown(client: HttpClient, server: HttpServer, endpoint: str) -> bool:
    """Return whether a stream is unknown; otherwise its server does not answer, or still has it."""
    status = post(client, server, endpoint, request(1, "ping")).status_code
    assert status in (HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.ACCEPTED)
    return status == HTTPStatus.NOT_FOUND


def test_a_message_is_answered_on_the_stream_whichever_worker_it_is_posted_to(
    server: HttpServer, conversation: SseConversation, workers: dict[int, HttpClient]
) -> None:
    served = set()
    for pid, client in workers.items():
        accepted = post(client, server, conversation.endpoint, request(pid, "tools/call", call_of("process_id")))
        assert (accepted.status_code, accepted.text) == (HTTPStatus.ACCEPTED, "Accepted\n")
        served.add(conversation.reply(pid)["result"]["structuredContent"]["result"])
    assert len(served) == 1, "the calls run in the process of the stream"
    assert served < set(workers)


def test_a_question_is_answered_through_each_worker(
    server: HttpServer, conversation: SseConversation, workers: dict[int, HttpClient]
) -> None:
    for pid, client in workers.items():
        identifier = conversation.start_tool("ask_name")
        question = conversation.server_request("elicitation/create")
        answer = response(question["id"], {"action": "accept", "content": {"name": f"Ada {pid}"}})
        assert post(client, server, conversation.endpoint, answer).status_code == HTTPStatus.ACCEPTED
        text = conversation.reply(identifier)["result"]["content"][0]["text"]
        assert text.startswith(f"Ada {pid} ")


def test_bytes_that_are_no_message_are_refused_by_each_worker(
    server: HttpServer, conversation: SseConversation, workers: dict[int, HttpClient]
) -> None:
    for client in workers.values():
        refused = post(client, server, conversation.endpoint, b"{")
        assert refused.status_code == HTTPStatus.BAD_REQUEST
        assert refused.json()["error"]["code"] == -32700
    assert conversation.result("ping") == {}


def test_a_large_message_reaches_the_stream_through_each_worker(
    server: HttpServer, conversation: SseConversation, workers: dict[int, HttpClient]
) -> None:
    text = "x" * 3_000_000
    for pid, client in workers.items():
        call = call_of("process_id") | {"arguments": {}, "_meta": {"example.com/text": text}}
        assert post(client, server, conversation.endpoint, request(pid, "tools/call", call)).is_success
        assert "result" in conversation.reply(pid)


def test_unknown_streams_are_refused_by_each_worker(server: HttpServer, workers: dict[int, HttpClient]) -> None:
    for client in workers.values():
        for name in ("", "unknown", "0123456789ab-unknown", "x" * 1000, "a%0Ab", "%2A"):
            refused = post(client, server, f"/messages?session_id={name}", request(1, "ping"))
            assert refused.status_code == HTTPStatus.NOT_FOUND, name


def test_a_stream_that_has_ended_is_unknown_to_each_worker(server: HttpServer, workers: dict[int, HttpClient]) -> None:
    with closing(SseConversation(server, OLDEST)) as conversation:
        conversation.handshake()
        endpoint = conversation.endpoint
    for client in workers.values():
        wait_until(partial(is_unknown, client, server, endpoint), "the stream has ended")


def test_a_stream_ends_with_its_worker_and_the_other_one_says_so(
    server: HttpServer, workers: dict[int, HttpClient]
) -> None:
    """While the killed worker counts as alive, the client is to try again; then the stream is unknown."""
    with closing(SseConversation(server, OLDEST)) as conversation:
        conversation.handshake()
        owner = int(conversation.text("process_id"))
        os.kill(owner, signal.SIGKILL)
        wait_until(lambda: owner not in pids(server), "the killed worker has been noticed")
        [other] = [client for pid, client in workers.items() if pid != owner]
        wait_until(partial(is_unknown, other, server, conversation.endpoint), "the stream is unknown", 2 * PATIENCE)
