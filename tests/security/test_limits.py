"""Limits of rates, concurrent calls, wrong credentials and daily tokens: refusals say when to retry."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request
from tests.support.guarded import Guarded, guarded
from tests.support.messages_api import messages_api
from tests.support.websocket_conversation import websocket
from tfo_mcp.domain.rates import Rate, admit

CALLS = 6
CODE = -31005
CALL = {"name": "echo", "arguments": {"message": "hi"}}


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Guarded]:
    limits = {
        "calls_per_minute": CALLS,
        "burst": CALLS,
        "tool_calls_per_minute": ["system_info=2"],
        "wrong_credentials_per_minute": 3,
        "calls_at_once": 2,
    }
    with guarded(tmp_path, limits=limits) as running:
        yield running


def test_who_calls_too_often_is_answered_429_and_when_to_try_again(gate: Guarded) -> None:
    key, other = gate.key(), gate.key()
    answers = [gate.stateless(key, "tools/call", CALL) for _ in range(CALLS + 1)]
    assert [answer.status_code for answer in answers] == [200] * CALLS + [429]
    refused = answers[-1]
    error = refused.json()["error"]
    assert error["message"] == f"You have called too often: the limit is {CALLS} calls per minute"
    assert (error["code"], error["data"]["kind"]) == (CODE, "rate_limited")
    assert 0 < error["data"]["retryAfterMs"] <= 60_000 / CALLS
    seconds = -(-error["data"]["retryAfterMs"] // 1000)
    assert refused.headers["retry-after"] == str(seconds)
    assert refused.headers["ratelimit"] == f'"calls";r=0;t={seconds}'
    assert refused.headers["ratelimit-policy"] == f'"calls";q={CALLS}'
    assert gate.stateless(other, "tools/call", CALL).status_code == 200


def test_on_a_websocket_the_error_says_it_too(gate: Guarded) -> None:
    with websocket(gate.server, additional_headers={"X-API-Key": gate.key()}) as connection:
        connection.send(json.dumps(request(1, "initialize", initialize_params(LATEST_HANDSHAKE))))
        connection.recv(PATIENCE)
        for number in range(2, CALLS + 2):
            connection.send(json.dumps(request(number, "ping")))
        errors = [reply["error"] for _ in range(CALLS) if "error" in (reply := json.loads(connection.recv(PATIENCE)))]
    (error,) = errors
    assert (error["code"], error["data"]["retryAfterMs"] > 0) == (CODE, True)


def test_a_tool_has_a_limit_of_its_own_for_each_caller(gate: Guarded) -> None:
    key = gate.key()
    call = {"name": "system_info", "arguments": {}}
    answers = [gate.stateless(key, "tools/call", call) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    message = answers[-1].json()["error"]["message"]
    assert message.startswith("The tool system_info was called too often: the limit is 2 calls per minute")
    assert gate.stateless(key, "tools/call", CALL).status_code == 200
    assert gate.stateless(gate.key(), "tools/call", call).status_code == 200


def test_only_so_many_calls_run_at_once(gate: Guarded) -> None:
    key = gate.key()
    with websocket(gate.server, additional_headers={"X-API-Key": key}) as connection:
        connection.send(json.dumps(request(1, "initialize", initialize_params(LATEST_HANDSHAKE))))
        connection.recv(PATIENCE)
        connection.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
        for number in (2, 3):
            hold = {"name": "hold", "arguments": {"key": f"at once {number}"}}
            connection.send(json.dumps(request(number, "tools/call", hold)))
        connection.send(json.dumps(request(4, "tools/list", {})))
        refused = json.loads(connection.recv(PATIENCE))
        assert refused["id"] == 4
        assert refused["error"]["message"] == "You already have 2 calls running: wait until one has ended"
        answer = gate.stateless(key, "tools/list")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert gate.stateless(gate.key(), "tools/list").status_code == 200


def test_an_address_that_shows_wrong_keys_is_limited_in_these_only(gate: Guarded) -> None:
    key = gate.key()
    with gate.client() as one, gate.client(address="127.0.0.2") as other:
        answers = [one.get("/mcp", headers={"X-API-Key": f"tfo_{number}"}) for number in range(5)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert one.get("/mcp", headers={"X-API-Key": key}).status_code == 400
        assert [one.get("/mcp").status_code for _ in range(5)] == [401] * 5
        assert other.get("/mcp", headers={"X-API-Key": key}).status_code == 400
        assert other.get("/mcp", headers={"X-API-Key": "wrong"}).status_code == 401
    refusals = [entry["reason"] for entry in gate.audit() if entry["decision"] == "refused"]
    assert refusals[3] == "too many wrong credentials from this address"


def test_keys_that_have_ended_are_no_guesses(gate: Guarded) -> None:
    ended, good = gate.key(), gate.key()
    gate.keys("revoke", ended.split("_")[1])
    with gate.client() as client:
        wait_until(lambda: client.get("/mcp", headers={"X-API-Key": ended}).status_code == 401, "it has ended")
        answers = [client.get("/mcp", headers={"X-API-Key": ended}).status_code for _ in range(10)]
        assert answers == [401] * 10
        altered = good[:20] + ("a" if good[20] != "a" else "b") + good[21:]
        assert client.get("/mcp", headers={"X-API-Key": altered}).status_code == 401
        assert client.get("/mcp", headers={"X-API-Key": good}).status_code == 400


def test_callers_without_credentials_are_counted_by_address(tmp_path: Path) -> None:
    section = {"anonymous_calls_per_minute": 3, "burst": 3}
    with guarded(tmp_path, limits=section, security={"require_key": False}) as gate:
        message = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
        with gate.client() as one, gate.client(address="127.0.0.2") as other:
            assert [one.post("/mcp", json=message).status_code for _ in range(4)] == [200, 200, 200, 429]
            assert other.post("/mcp", json=message).status_code == 200
        assert gate.stateless(gate.key(), "tools/list").status_code == 200


def test_a_caller_has_so_many_tokens_a_day(tmp_path: Path) -> None:
    with messages_api("test-key") as api:
        claude = {"api_key": "test-key", "base_url": api.url, "max_retries": 0}
        with guarded(tmp_path, claude=claude, limits={"claude_tokens_per_day": 40}) as gate:
            key = gate.key("tools:ai")
            call = {"message": "Hello there"}

            def used_up() -> str | None:
                result = gate.tool(key, "claude_conversation", call)
                return str(result["content"][0]["text"]) if result["isError"] else None

            words = wait_until(used_up, "the tokens are used up")
            assert words is not None
            assert words.startswith("Your daily quota of 40 tokens is used up (limits.claude_tokens_per_day)")
            assert not gate.tool(gate.key("tools:ai"), "claude_conversation", call)["isError"]


class TestRates:
    def test_a_burst_at_once_and_then_evenly(self) -> None:
        rate, full_at, let_through = Rate(60, 5), 0.0, []
        for tenth in range(100):
            admission, full_at = admit(rate, full_at, tenth / 10)
            if admission.allowed:
                let_through.append(tenth / 10)
        assert let_through == [0.0, 0.1, 0.2, 0.3, 0.4, *(float(second) for second in range(1, 10))]

    def test_it_tells_how_many_are_left_and_when_there_are_more(self) -> None:
        rate = Rate(60, 2)
        first, full_at = admit(rate, 0.0, 10.0)
        second, full_at = admit(rate, full_at, 10.0)
        third, full_at = admit(rate, full_at, 10.25)
        assert (first.remaining, second.remaining, third.remaining) == (1, 0, 0)
        assert (third.allowed, third.retry_after, third.reset_after) == (False, 0.75, 1.75)
        looked, same = admit(rate, full_at, 11.0, 0)
        assert (looked.allowed, looked.remaining, same) == (True, 1, full_at)
