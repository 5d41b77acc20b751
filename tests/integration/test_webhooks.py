"""Webhooks: a real server posts its events, signed; failures are tried again and end as dead letters."""

import base64
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import request, stateless_headers, stateless_params
from tests.support.http_client import http_client
from tests.support.nats_server import nats_server
from tests.support.processes import HttpServer, http_server, run_command
from tests.support.webhook_receiver import Receiver, webhook_receiver

KEY = b"the secret of thirty-two bytes.."


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as running:
        yield running


def settings(place: Path, receiver: Receiver, url: str = "memory:", *, allowed: bool = True) -> Path:
    secret = place / "secret"
    secret.write_text(f"whsec_{base64.b64encode(KEY).decode()}\n")
    webhook = {"url": receiver.url, "types": ["Tool*"], "subjects": ["echo"], "secret_file": str(secret)}
    section = {"url": url, "webhooks": [webhook], "webhook_retry_seconds": 0.01, "webhook_tries": 3}
    if allowed:
        section["webhook_networks"] = ["127.0.0.0/8"]
    whole = {
        "events": section,
        "security": {"anonymous": "all"},
        "storage": {"url": f"sqlite://{place}/state.sqlite", "timeout_seconds": PATIENCE},
    }
    file = place / "tfo-mcp.yaml"
    file.write_text(json.dumps(whole))
    return file


@contextmanager
def serving(config: Path) -> Iterator[HttpServer]:
    with http_server(config) as server:
        yield server


def call(server: HttpServer, tool: str, **arguments: str) -> None:
    message = request(1, "tools/call", stateless_params({"name": tool, "arguments": arguments}))
    with http_client(server.url) as client:
        assert client.post(message, stateless_headers(message)).status == 200


def test_events_that_match_are_posted_signed_and_again_after_a_failure(receiver: Receiver, tmp_path: Path) -> None:
    receiver.statuses.extend([500, 307])  # a redirect is no delivery
    receiver.location = receiver.url
    with serving(settings(tmp_path, receiver)) as server:
        call(server, "system_info")
        call(server, "echo", message="hello")
        wait_until(lambda: len(receiver.requests) == 3, "the event is delivered")
    assert len({body for _, body in receiver.requests}) == 1
    headers, body = receiver.requests[-1]
    event = json.loads(body)
    assert (event["type"], event["subject"], event["id"]) == ("tfo.mcp.ToolExecuted", "echo", headers["webhook-id"])
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["content-type"] == "application/cloudevents+json"


def test_deliveries_that_fail_are_dead_letters_which_the_command_line_retries(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.status = 503
    with nats_server() as nats:
        config = settings(tmp_path, receiver, nats.url)

        def run(*words: str, code: int = 0) -> str:
            done = run_command("events", "dead", *words, "--config", config)
            assert done.returncode == code, done.stderr
            return done.stdout

        with serving(config) as server:
            call(server, "echo", message="hello")
            wait_until(lambda: len(receiver.requests) == 3, "all attempts have been made")
            wait_until(lambda: run("list"), "there is a dead letter")
            (row,) = run("list").splitlines()
            number, _, kind, _, tries, reason = row.split("\t")
            assert (kind, tries, reason) == ("webhook", "3", "127.0.0.1 answered with status 503")
            (letter,) = json.loads(run("list", "--json"))
            assert {letter[field] for field in ("number", "kind", "tries", "reason")} == {number, kind, 3, reason}
            receiver.status = 204
            run("retry", "12345", code=2)
            assert run("retry", number) == "1 queued again\n"
            wait_until(lambda: len(receiver.requests) == 4, "the event is delivered")
            assert run("list") == ""
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1


def test_a_receiver_in_a_private_network_is_not_asked_unless_it_is_allowed(receiver: Receiver, tmp_path: Path) -> None:
    with nats_server() as nats:
        config = settings(tmp_path, receiver, nats.url, allowed=False)

        def listed() -> str:
            done = run_command("events", "dead", "list", "--config", config)
            assert done.returncode == 0, done.stderr
            return done.stdout

        with serving(config) as server:
            call(server, "echo", message="hello")
            wait_until(listed, "there is a dead letter")
        assert "127.0.0.1: it has no address on the public internet" in listed()
        assert "secret-path" not in listed()
    assert receiver.requests == []


@pytest.mark.parametrize(
    "webhook",
    [
        {},
        {"url": "ftp://host/"},
        {"url": "https://host/", "types": []},
        {"url": "https://host/", "secret": "in a file only"},
        {"url": "https://host/", "secret_file": "/nowhere/secret"},
    ],
)
def test_a_webhook_that_cannot_be_used_is_refused(webhook: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "tfo-mcp.yaml").write_text(json.dumps({"events": {"webhooks": [webhook]}}))
    done = run_command("serve", "--transport", "http", "--config", tmp_path / "tfo-mcp.yaml")
    assert done.returncode == 2
    assert "events.webhooks" in done.stderr
