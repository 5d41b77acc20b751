"""The JSON-RPC codec: every frame becomes a message or a malformed one with a reason, and decoding never raises."""

import json
from codecs import BOM_UTF8
from math import isfinite
from random import Random
from typing import Any

import pytest

from tfo_mcp.domain.errors import Kind
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.jsonrpc import Batch, Malformed, Notification, Request, Response
from tfo_mcp.presentation.message_limits import DEPTH_LIMIT

DEEP = DEPTH_LIMIT
REQUEST: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "m"}
ALPHABET = [
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b'"',
        b"\\",
        b" ",
        b"\n",
        b"\x00",
        b"\xff",
        b"\xc3",
        b"\xa9",
        b"\xed\xa0\x80",
    ),
    *(b"1", b"-", b"0", b".5", b"1e9", b"1e999", b"9" * 400, b"NaN", b"Infinity", b"true", b"false", b"null"),
    *(b'"id"', b'"method"', b'"jsonrpc"', b'"2.0"', b'"params"', b'"result"', b'"error"', b"\\ud800", b"\\u0000"),
]


def frame(**changes: Any) -> bytes:
    """Return the frame of a request with changed members; None means null, and `...` removes a member."""
    return json.dumps({name: value for name, value in {**REQUEST, **changes}.items() if value is not ...}).encode()


def with_number(literal: str) -> bytes:
    """Return the frame of a request that contains a number."""
    return b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"n":%b}}' % literal.encode()


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    """Return the frame of a request with `depth` levels of nesting in total."""
    inside = depth - 2
    return b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"n":%b}}' % (opening * inside + closing * inside).encode()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (frame(), Request(1, "m", {})),
        (frame(id="a", params={"x": [1]}), Request("a", "m", {"x": [1]})),
        (frame(id=0), Request(0, "m", {})),
        (frame(id=-1), Request(-1, "m", {})),
        (frame(id=1.0), Request(1, "m", {})),
        (frame(id=-2e3), Request(-2000, "m", {})),
        (frame(params=None), Request(1, "m", {})),
        (BOM_UTF8 + frame(), Request(1, "m", {})),
        (BOM_UTF8 + b" \n" + frame(), Request(1, "m", {})),
        (frame(id=""), Request("", "m", {})),
        (frame(id=2**70), Request(2**70, "m", {})),
        (frame(method=""), Request(1, "", {})),
        (frame(unknown=True), Request(1, "m", {})),
        (b" \n" + frame() + b"\r\n ", Request(1, "m", {})),
        (frame(id=...), Notification("m", {})),
        (frame(id=..., params={"x": 1}), Notification("m", {"x": 1})),
        (frame(id=..., params=None), Notification("m", {})),
        (frame(id=..., params=[1]), Notification("m", {})),
        (frame(id=..., params={"x": "cut \ud83d"}), Notification("m", {"x": "cut \ufffd"})),
        (frame(id=..., params={"x": float("nan")}), Notification("m", {"x": None})),
        (frame(method=..., result={"x\udc00": ["\ud83d"]}), Response(1, result={"x\ufffd": ["\ufffd"]})),
        (frame(method=..., result={}), Response(1, result={})),
        (frame(method=..., result=None), Response(1, result=None)),
        (frame(method=..., id="a", error={"code": 1}), Response("a", error={"code": 1})),
        (frame(method=..., id=None, error={"code": 1}), Response(None, error={"code": 1})),
        (frame(method=..., id=..., error={"code": 1}), Response(None, error={"code": 1})),
        (frame(method=..., error="no object"), Response(1, error={})),
        ('{"jsonrpc":"2.0","id":"é\\u0000😀","method":"m"}'.encode(), Request("é\0😀", "m", {})),
    ],
)
def test_well_formed_frames_are_messages(raw: bytes, message: jsonrpc.Message) -> None:
    assert jsonrpc.decode(raw) == message


@pytest.mark.parametrize(
    ("raw", "kind", "identifier"),
    [
        (b"", Kind.PARSE_ERROR, None),
        (b" \n", Kind.PARSE_ERROR, None),
        (b"{", Kind.PARSE_ERROR, None),
        (frame()[:-1], Kind.PARSE_ERROR, 1),
        (frame() + b"{}", Kind.PARSE_ERROR, 1),
        (frame()[:-1] + b',"params":{"cut', Kind.PARSE_ERROR, 1),
        (frame(method=..., result={})[:-1], Kind.PARSE_ERROR, None),
        (b"{'id': 1}", Kind.PARSE_ERROR, None),
        (b'{"id":1,}', Kind.PARSE_ERROR, None),
        (BOM_UTF8 * 2 + frame(), Kind.PARSE_ERROR, 1),
        (frame().replace(b'"m"', b'"\xff"'), Kind.PARSE_ERROR, 1),
        (frame().replace(b'"m"', b'"\xed\xa0\x80"'), Kind.PARSE_ERROR, 1),
        (frame().replace(b'"m"', b'"\\ud800"'), Kind.PARSE_ERROR, 1),
        (frame().replace(b'"m"', b'"\n"'), Kind.PARSE_ERROR, 1),
        (with_number("NaN"), Kind.PARSE_ERROR, 1),
        (with_number("-Infinity"), Kind.PARSE_ERROR, 1),
        (with_number("01"), Kind.PARSE_ERROR, 1),
        (b"null", Kind.INVALID_REQUEST, None),
        (b"5", Kind.INVALID_REQUEST, None),
        (b'"text"', Kind.INVALID_REQUEST, None),
        (b"[]", Kind.INVALID_REQUEST, None),
        (b"{}", Kind.INVALID_REQUEST, None),
        (frame(jsonrpc="1.0"), Kind.INVALID_REQUEST, 1),
        (frame(jsonrpc=2.0), Kind.INVALID_REQUEST, 1),
        (frame(jsonrpc=...), Kind.INVALID_REQUEST, 1),
        (frame(id=None), Kind.INVALID_REQUEST, None),
        (frame(id=1.5), Kind.INVALID_REQUEST, None),
        (frame(id=float(2**60)), Kind.INVALID_REQUEST, None),
        (frame(id=True), Kind.INVALID_REQUEST, None),
        (frame(id=[1]), Kind.INVALID_REQUEST, None),
        (frame(method=1), Kind.INVALID_REQUEST, 1),
        (frame(method=None), Kind.INVALID_REQUEST, 1),
        (frame(id=..., method=1), Kind.INVALID_REQUEST, None),
        (frame(params=[1]), Kind.INVALID_PARAMS, 1),
        (frame(params="text", id="a"), Kind.INVALID_PARAMS, "a"),
        (frame(method=...), Kind.INVALID_REQUEST, 1),
        (frame(method=..., result={}, error={}), Kind.INVALID_REQUEST, 1),
        (frame(method=..., id=None, result={}), Kind.INVALID_REQUEST, None),
    ],
)
def test_everything_else_says_what_is_wrong_and_whom_to_tell(raw: bytes, kind: Kind, identifier: Any) -> None:
    message = jsonrpc.decode(raw)
    assert isinstance(message, Malformed)
    assert (message.kind, message.id) == (kind, identifier)
    assert message.problem


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"arguments": {"message": "cut \ud83d"}}, "params.arguments.message "),
        ({"arguments": {"edits": [{"old": "a"}, {"new": "\udc00x"}]}}, "params.arguments.edits[1].new "),
        ({"arguments": {"cut \ud83d": 1}}, "A name in params.arguments "),
    ],
    ids=["a text", "in a list", "a name"],
)
def test_half_of_a_surrogate_pair_is_refused_with_its_place_and_the_id(params: Any, place: str) -> None:
    message = jsonrpc.decode(frame(id=77, params=params))
    assert isinstance(message, Malformed)
    assert (message.id, message.kind) == (77, Kind.PARSE_ERROR)
    assert message.problem.startswith(place)


def test_members_of_a_damaged_batch_keep_their_ids() -> None:
    batch = jsonrpc.decode(b"[%b,%b]" % (frame(id=5, params={"x": "\ud83d"}), frame(id="b", params={})))
    assert isinstance(batch, Batch)
    assert [getattr(message, "id", None) for message in batch.messages] == [5, "b"]


@pytest.mark.parametrize("levels", [DEEP + 1, 150, 900, 5000])
def test_a_damaged_frame_that_is_nested_too_deep_is_refused(levels: int) -> None:
    message = jsonrpc.decode(nested(levels).replace(b'"m"', b'"\\ud83d"'))
    assert isinstance(message, Malformed)
    assert message.id == 1


class TestDepth:
    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
    def test_the_limit_is_exact(self, opening: str, closing: str) -> None:
        def of_depth(depth: int) -> bytes:
            raw = nested(depth, opening, closing)
            return raw if opening == "[" else raw.replace(b'{"a":}', b"{}")

        assert isinstance(jsonrpc.decode(of_depth(DEEP)), Request)
        message = jsonrpc.decode(of_depth(DEEP + 1))
        assert isinstance(message, Malformed)
        assert (message.kind, message.id) == (Kind.INVALID_REQUEST, 1)

    @pytest.mark.parametrize("depth", [150, 250, 10_000, 1_000_000])
    def test_any_depth_is_survived(self, depth: int) -> None:
        message = jsonrpc.decode(nested(depth))
        assert isinstance(message, Malformed)
        assert message.kind is Kind.INVALID_REQUEST

    def test_brackets_in_texts_and_many_shallow_ones_are_no_depth(self) -> None:
        params = {"text": '[{"\\' * 500, "list": [[]] * 500}
        assert jsonrpc.decode(frame(params=params)) == Request(1, "m", params)


class TestNumbers:
    @pytest.mark.parametrize(
        "literal", ["1e308", "-1.7976931348623157e308", "1e-400", "0e999", "9" * 308, "123456789e10"]
    )
    def test_what_a_float_holds_is_taken(self, literal: str) -> None:
        assert isinstance(jsonrpc.decode(with_number(literal)), Request)

    @pytest.mark.parametrize(
        "literal",
        ["1e309", "-1e309", "1E+400", "1.5e99999", "9" * 310 + ".5", "9" * 299 + "e20", "1" + "0" * 250 + "e99"],
    )
    def test_what_a_float_does_not_hold_is_refused(self, literal: str) -> None:
        message = jsonrpc.decode(with_number(literal))
        assert isinstance(message, Malformed), message
        assert message.kind is Kind.PARSE_ERROR


class TestBatches:
    def test_each_member_is_a_message_of_its_own(self) -> None:
        raw = b"[" + b",".join([frame(), frame(id=...), frame(method=..., result=1), b"5", frame(params=[])]) + b"]"
        batch = jsonrpc.decode(raw)
        assert isinstance(batch, Batch)
        assert [type(message) for message in batch.messages] == [Request, Notification, Response, Malformed, Malformed]

    def test_batches_do_not_nest(self) -> None:
        batch = jsonrpc.decode(b"[[" + frame() + b"]]")
        assert isinstance(batch, Batch)
        assert isinstance(batch.messages[0], Malformed)


def random_json(random: Random, depth: int) -> bytes:
    """Return JSON tokens in a structure that is sometimes valid."""
    if depth == 0 or random.random() < 0.3:
        return random.choice(ALPHABET)
    parts = [random_json(random, depth - 1) for _ in range(random.randint(0, 4))]
    if random.random() < 0.5:
        return b"[" + b",".join(parts) + b"]"
    return b"{" + b",".join(random.choice(ALPHABET) + b":" + part for part in parts) + b"}"


def finite(value: Any) -> bool:
    """Return whether all numbers in a value are finite."""
    if isinstance(value, dict):
        return all(finite(item) for item in value.values())
    if isinstance(value, list):
        return all(finite(item) for item in value)
    return not isinstance(value, float) or isfinite(value)


@pytest.mark.parametrize("seed", range(5))
def test_no_bytes_make_it_raise(seed: int) -> None:
    random = Random(seed)
    valid = [frame(), frame(id=...), frame(method=..., result={"a": [1]}), b"[" + frame() + b"]", nested(40)]
    for _ in range(4000):
        raw = bytearray(random.choice(valid)) if random.random() < 0.5 else bytearray(random_json(random, 4))
        for _ in range(random.randint(0, 4)):
            position = random.randint(0, len(raw))
            raw[position : position + random.randint(0, 3)] = random.choice((random.randbytes(2), *ALPHABET))
        message = jsonrpc.decode(bytes(raw))
        assert isinstance(message, Request | Notification | Response | Malformed | Batch)
        if isinstance(message, Request):
            assert finite(message.params), bytes(raw)
            assert json.loads(jsonrpc.encode_result(message.id, b"{}"))["id"] == message.id


class TestEncoding:
    @pytest.mark.parametrize("identifier", [0, -5, 2**70, "", "a", 'quote " and \\', "é😀\n\0"])
    def test_an_answer_has_the_id_of_its_request(self, identifier: str | int) -> None:
        result = json.loads(jsonrpc.encode_result(identifier, b'{"a":1}'))
        assert result == {"jsonrpc": "2.0", "id": identifier, "result": {"a": 1}}
        error = json.loads(jsonrpc.encode_error(identifier, -32603, "no", {"kind": "internal"}, null_id=True))
        assert error["id"] == identifier
        assert error["error"] == {"code": -32603, "message": "no", "data": {"kind": "internal"}}

    @pytest.mark.parametrize(
        ("null_id", "members"), [(True, {"jsonrpc", "id", "error"}), (False, {"jsonrpc", "error"})]
    )
    def test_an_unknown_id_is_null_or_left_out(self, null_id: bool, members: set[str]) -> None:
        message = json.loads(jsonrpc.encode_error(None, -32700, "no", {}, null_id=null_id))
        assert message.keys() == members
        assert message.get("id") is None

    def test_what_json_does_not_have_does_not_break_an_error(self) -> None:
        frame_bytes = jsonrpc.encode_error(1, -1, "no", {"a": float("inf"), "b": object(), "c": {1, 2}}, null_id=True)
        assert json.loads(frame_bytes)["error"]["data"]["a"] is None

    @pytest.mark.parametrize(
        "message",
        [
            Notification("m", {"a": [1, None, "é"]}),
            Response("a", result={"b": 1}),
            Response(5, error={"code": -1, "message": "no"}),
        ],
    )
    def test_messages_survive_the_way_to_bytes_and_back(self, message: Notification | Response) -> None:
        assert jsonrpc.decode(jsonrpc.encode_message(message)) == message

    def test_requests_and_notifications_leave_out_params_that_are_not_there(self) -> None:
        assert json.loads(jsonrpc.encode_request("a", "m")) == {"jsonrpc": "2.0", "id": "a", "method": "m"}
        assert json.loads(jsonrpc.encode_notification("m")) == {"jsonrpc": "2.0", "method": "m"}
        assert jsonrpc.decode(jsonrpc.encode_request("a", "m", {"x": 1})) == Request("a", "m", {"x": 1})

    def test_frames_are_one_line(self) -> None:
        text = "line\nbreak\r\u2028"
        frames = [
            jsonrpc.encode_value({"a": text}),
            jsonrpc.encode_notification("m", {"a": text}),
            jsonrpc.encode_error(text, 1, text, {"a": text}, null_id=True),
        ]
        assert not any(b"\n" in raw or b"\r" in raw for raw in frames)

    def test_a_batch_holds_its_answers(self) -> None:
        answers = [jsonrpc.encode_result(1, b"{}"), jsonrpc.encode_result("b", b"[]")]
        assert [answer["id"] for answer in json.loads(jsonrpc.encode_batch(answers))] == [1, "b"]
