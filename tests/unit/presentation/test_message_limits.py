"""The limits of one message: they are exact, and count values but not the contents of strings."""

import json

import pytest

from tests.support.hostile_messages import LONG_NUMBERS, LONG_TEXTS, MANY_VALUES, tool_call
from tfo_mcp.domain.errors import Kind
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.jsonrpc import Batch, Malformed, Request
from tfo_mcp.presentation.message_limits import ALL_DIGITS_LIMIT, BATCH_LIMIT, DIGITS_LIMIT, ID_LIMIT, VALUES_LIMIT


def values(count: int, piece: str = "0", before: str = "") -> bytes:
    """Return a request with `count` commas and brackets outside of strings."""
    head = f'{{"jsonrpc":"2.0","id":7,"method":"m","params":{{"t":"{before}","a":['
    used = 2 + 1 + 4  # two braces, one bracket, four commas
    return f"{head}{piece}{f',{piece}' * (count - used)}]}}}}".encode()


class TestValues:
    @pytest.mark.parametrize("before", ["", ",[{" * 20_000, '\\"' * 20_000, '\\\\\\",' * 20_000, "\\\\"])
    @pytest.mark.parametrize("piece", ["0", '""', "null", '"\\\\"', '"\\","'])
    def test_the_limit_is_exact_whatever_strings_hold(self, piece: str, before: str) -> None:
        assert isinstance(jsonrpc.decode(values(VALUES_LIMIT, piece, before)), Request)
        refused = jsonrpc.decode(values(VALUES_LIMIT + 1, piece, before))
        assert isinstance(refused, Malformed)
        assert (refused.kind, refused.id) == (Kind.INVALID_REQUEST, 7)
        assert refused.problem == f"More than {VALUES_LIMIT} values in one message"

    @pytest.mark.parametrize("shape", MANY_VALUES)
    def test_every_shape_of_too_many_is_refused(self, shape: str) -> None:
        refused = jsonrpc.decode(tool_call(3, MANY_VALUES[shape]()))
        assert isinstance(refused, Malformed)
        assert (refused.kind, refused.id) == (Kind.INVALID_REQUEST, 3)

    @pytest.mark.parametrize("shape", LONG_TEXTS)
    def test_one_string_is_one_value(self, shape: str) -> None:
        frame = tool_call(3, LONG_TEXTS[shape]())
        message = jsonrpc.decode(frame)
        assert isinstance(message, Request)
        assert message.params == json.loads(frame)["params"]


class TestDigits:
    @pytest.mark.parametrize("number", ["9" * DIGITS_LIMIT, "0." + "1" * DIGITS_LIMIT, "-" + "8" * DIGITS_LIMIT])
    def test_the_limit_is_exact(self, number: str) -> None:
        assert isinstance(jsonrpc.decode(tool_call(1, number.encode())), Request)
        refused = jsonrpc.decode(tool_call(1, f"{number}1".encode()))
        assert isinstance(refused, Malformed)
        assert (refused.kind, refused.id) == (Kind.INVALID_REQUEST, 1)

    @pytest.mark.parametrize("shape", LONG_NUMBERS)
    def test_every_shape_of_too_long_is_refused(self, shape: str) -> None:
        assert isinstance(jsonrpc.decode(tool_call(1, LONG_NUMBERS[shape]())), Malformed)

    def test_so_is_the_limit_of_all_together(self) -> None:
        numbers = "[" + ",".join(["9" * 250] * (ALL_DIGITS_LIMIT // 250)) + "]"
        assert isinstance(jsonrpc.decode(tool_call(1, numbers.replace("9", "", 30).encode())), Request)
        refused = jsonrpc.decode(tool_call(1, numbers.encode()))
        assert isinstance(refused, Malformed)
        assert str(ALL_DIGITS_LIMIT) in refused.problem

    def test_digits_in_a_string_are_text(self) -> None:
        digits = "7" * 10 * DIGITS_LIMIT
        for around in ('"', '\\"', "\\\\"):
            message = jsonrpc.decode(tool_call(1, json.dumps(around + digits).encode()))
            assert isinstance(message, Request)
            assert message.params["arguments"]["message"] == around + digits


class TestIds:
    def test_a_long_one_is_no_id(self) -> None:
        allowed, long = "é" * ID_LIMIT, "é" * (ID_LIMIT + 1)
        assert jsonrpc.decode(json.dumps({"jsonrpc": "2.0", "id": allowed, "method": "m"}).encode()) == Request(
            allowed, "m", {}
        )
        refused = jsonrpc.decode(json.dumps({"jsonrpc": "2.0", "id": long, "method": "m"}).encode())
        assert isinstance(refused, Malformed)
        assert (refused.kind, refused.id) == (Kind.INVALID_REQUEST, None)

    @pytest.mark.parametrize("identifier", [0, -5, "a", 'quote " and \\', "é", ""])
    @pytest.mark.parametrize("order", [("jsonrpc", "id", "method", "params"), ("method", "params", "jsonrpc", "id")])
    def test_of_a_message_that_is_not_parsed_it_is_read_where_clients_write_it(
        self, identifier: str | int, order: tuple[str, ...]
    ) -> None:
        message = {"jsonrpc": "2.0", "id": identifier, "method": "m", "params": {"id": 99, "a": [0] * VALUES_LIMIT}}
        for separators in ((", ", ": "), (",", ":")):
            raw = json.dumps({name: message[name] for name in order}, separators=separators).encode()
            refused = jsonrpc.decode(raw)
            assert isinstance(refused, Malformed)
            assert refused.id == identifier

    @pytest.mark.parametrize(
        "raw",
        [
            b'{"jsonrpc":"2.0","method":"m","params":{"id":5,"a":[%b],"id":5}}',
            b'[{"jsonrpc":"2.0","id":5,"method":"m","params":{"a":[%b],"id":5}}]',
            b'{"jsonrpc":"2.0","id":"' + b"x" * (ID_LIMIT + 1) + b'","params":{"a":[%b]}}',
            b'{"jsonrpc":"2.0","id":{"id":5},"params":{"a":[%b]}}',
            b'{"jsonrpc":"2.0","id":5.5,"params":{"a":[%b]}}',
        ],
    )
    def test_what_is_no_id_of_the_message_is_never_taken_for_one(self, raw: bytes) -> None:
        refused = jsonrpc.decode(raw.replace(b"%b", b",".join([b"0"] * (VALUES_LIMIT + 1))))
        assert isinstance(refused, Malformed)
        assert refused.id is None


def test_a_batch_has_at_most_a_hundred_messages() -> None:
    def batch(count: int) -> bytes:
        return json.dumps([{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(count)]).encode()

    assert isinstance(jsonrpc.decode(batch(BATCH_LIMIT)), Batch)
    refused = jsonrpc.decode(batch(BATCH_LIMIT + 1))
    assert isinstance(refused, Malformed)
    assert (refused.kind, refused.id) == (Kind.INVALID_REQUEST, None)
