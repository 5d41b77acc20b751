"""JSON-RPC messages, ids, errors and batches, and the fields of every result.

Tests send raw bytes, malformed ones included, and check that the conversation continues after each.
"""

import json
import re
from codecs import BOM_UTF8
from typing import Any

import pytest

from tests.behaviour.conftest import OpenFresh
from tests.behaviour.matrix import CONNECTIONS, FEW, LOCAL, ONE_PROCESS, REVISIONS, before, over, since
from tests.support.conversations import Conversation, error_of, result_of
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE, META_PREFIX, STATELESS, JsonObject, request

BATCHING = "2025-03-26"
UNKNOWN_ID_OMITTED_SINCE = "2025-11-25"
RESERVED_CODES = {-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022}

# Every method with a result in the stateless era, with params for a successful call.
SUCCEEDING: dict[str, JsonObject] = {
    "server/discover": {},
    "tools/list": {},
    "tools/call": {"name": "echo", "arguments": {"message": "hi"}},
    "resources/list": {},
    "resources/templates/list": {},
    "resources/read": {"uri": "note://01"},
    "prompts/list": {},
    "prompts/get": {"name": "travel", "arguments": {"country": "fr"}},
    "completion/complete": {
        "ref": {"type": "ref/prompt", "name": "travel"},
        "argument": {"name": "city", "value": ""},
    },
}


def only_reply(conversation: Conversation, frame: bytes, message: object = None) -> JsonObject:
    """Send a frame, return its only reply, and check that no other reply follows; `message` as in `send_frame`."""
    conversation.send_frame(frame, message)
    reply = conversation.message()
    assert not conversation.settle()
    return reply


@over(*REVISIONS)
@pytest.mark.parametrize("identifier", ["null", "true", "1.5", "[]", "{}"])
def test_an_id_that_is_neither_string_nor_integer_is_refused(conversation: Conversation, identifier: str) -> None:
    """R1."""
    params = json.dumps(conversation.envelope({}))
    frame = f'{{"jsonrpc":"2.0","id":{identifier},"method":"tools/list","params":{params}}}'
    reply = only_reply(conversation, frame.encode())
    assert error_of(reply)["code"] == -32600
    assert reply.get("id") is None


@over(*REVISIONS)
@pytest.mark.parametrize("identifier", [0, 1, "1", "", -7, 2**53 - 1, 'äöü "quoted" \\ 名', "a" * 500], ids=repr)
def test_a_reply_carries_the_id_of_its_request_in_value_and_type(
    conversation: Conversation, identifier: int | str
) -> None:
    """R2."""
    good = conversation.call("tools/list", id=identifier)
    bad = conversation.call("no/such/method", id=identifier)
    assert set(good) == {"jsonrpc", "id", "result"}
    assert set(bad) == {"jsonrpc", "id", "error"}


@over(*REVISIONS)
@pytest.mark.parametrize(
    "notification",
    [
        {"method": "notifications/no_such_thing", "params": {"a": 1}},
        {"method": "notifications/cancelled"},
        {"method": "notifications/cancelled", "params": {"requestId": None}},
        {"method": "notifications/progress", "params": {"progressToken": 1, "progress": "much"}},
        {"method": "tools/list"},
        {"method": "no/such/method", "params": {}},
    ],
    ids=json.dumps,
)
def test_a_notification_is_never_answered(conversation: Conversation, notification: JsonObject) -> None:
    """R3."""
    conversation.send({"jsonrpc": "2.0", **notification})
    assert not conversation.settle()


@over(*REVISIONS)
@pytest.mark.parametrize("params", [[], "text", 5, None], ids=repr)
def test_a_notification_with_unusable_params_is_not_answered(conversation: Conversation, params: Any) -> None:
    """R3."""
    conversation.send({"jsonrpc": "2.0", "method": "notifications/no_such_thing", "params": params})
    assert not conversation.settle()


UNUSABLE_PARAMS = [b"null", b"[]", b'"text"', b"5", b'{"_meta":null}', rb'{"_meta":{"a":"cut \ud83d"}}', b'{"a":NaN}']


@over(LATEST_HANDSHAKE)
@pytest.mark.parametrize("params", UNUSABLE_PARAMS, ids=repr)
def test_a_session_is_confirmed_whatever_the_params_of_the_notification(connect: OpenFresh, params: bytes) -> None:
    """R3, R9."""
    with connect() as conversation:
        conversation.initialize()
        conversation.send_frame(b'{"jsonrpc":"2.0","method":"notifications/initialized","params":%b}' % params)
        assert conversation.result("tools/list")["tools"]


@over(*REVISIONS)
def test_a_message_whose_method_is_no_string_is_an_invalid_request(conversation: Conversation) -> None:
    """R4."""
    reply = only_reply(conversation, b'{"jsonrpc":"2.0","method":5}')
    assert error_of(reply)["code"] == -32600
    assert reply.get("id") is None


DAMAGED = [
    (rb'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"echo","arguments":{"message":"\ud83d"}}}', 77),
    (rb'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo","x\udc00":1},"id":"b"}', "b"),
    (rb'{"method":"x\ud800","jsonrpc":"2.0","id":77}', 77),
    (b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"echo","arguments":{"message":NaN}}}', 77),
    (b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"echo","arguments":{"message":1e999}}}', 77),
    (b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"echo","arguments":{"message":"cut', 77),
    (b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"echo",}}', 77),
    (b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"a\tb"}}', 77),
    (rb'{"jsonrpc":"2.0","id":"\ud83d","method":"ping"}', "\ud83d"),
    (rb'{"jsonrpc":"2.0","id":"cut \udc00","method":"tools/call","params":{"name":"\ud83d"}}', "cut \udc00"),
]


@over(*REVISIONS)
@pytest.mark.parametrize(("frame", "identifier"), DAMAGED, ids=lambda value: repr(value)[-50:])
def test_a_damaged_request_is_refused_under_its_id(conversation: Conversation, frame: bytes, identifier: Any) -> None:
    """R4, R36."""
    reply = only_reply(conversation, frame)
    assert error_of(reply)["code"] == -32700
    assert reply["id"] == identifier


# without WebSocket, where text frames are always UTF-8, and invalid ones end the connection
@over(*REVISIONS, transports=(*LOCAL, "http", "sse"))
@pytest.mark.parametrize(
    "text", [b"gr\xfc\xdfe", b"\xed\xa0\xbd", b"\xf0\x9f\x98"], ids=["Latin-1", "a surrogate", "cut"]
)
def test_a_request_in_another_encoding_is_refused_under_its_id(conversation: Conversation, text: bytes) -> None:
    """R4, R36."""
    frame = b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"echo","arguments":{"message":"%b"}}}'
    reply = only_reply(conversation, frame % text)
    assert error_of(reply)["code"] == -32700
    assert reply["id"] == 77


@over(*REVISIONS)
def test_a_byte_order_mark_before_a_message_is_ignored(conversation: Conversation) -> None:
    """R36."""
    message = request(77, "tools/list", conversation.envelope({}))
    assert "tools" in result_of(only_reply(conversation, BOM_UTF8 + json.dumps(message).encode(), message))


@over(*REVISIONS)
@pytest.mark.parametrize("identifier", ["5000000.0", "5e6", "50000000.0e-1"])
def test_an_id_that_is_an_integer_in_another_spelling_is_accepted(conversation: Conversation, identifier: str) -> None:
    """R1."""
    number = 5_000_000  # beyond the ids of the conversation, which other tests share
    message = request(number, "tools/list", conversation.envelope({}))
    frame = json.dumps(message).replace(f'"id": {number}', f'"id": {identifier}').encode()
    reply = only_reply(conversation, frame, message)
    assert "tools" in result_of(reply)
    assert reply["id"] == number


UNPARSABLE = [
    b"{",
    b"nonsense",
    b'{"jsonrpc":"2.0","id":1,"method":"ping"',
    b'{"jsonrpc":"2.0","id":1,"method":"ping",}',
    b"{'jsonrpc':'2.0'}",
    b'{"jsonrpc":"2.0","id":1,"method":"ping"} {"jsonrpc":"2.0","id":2,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":Infinity}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1e999}}',
    b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
]


# without WebSocket, where text frames are always UTF-8, and invalid ones end the connection
@over(*REVISIONS, transports=(*LOCAL, "http", "sse"))
@pytest.mark.parametrize("frame", [b'{"jsonrpc":"2.0","id":1,"method":"pi\xffng"}', b"\xff\xfe\x00{"], ids=repr)
def test_what_is_no_utf_8_gets_one_parse_error(conversation: Conversation, frame: bytes) -> None:
    """R4, R36."""
    assert error_of(only_reply(conversation, frame))["code"] == -32700


@over(*REVISIONS)
@pytest.mark.parametrize("frame", UNPARSABLE, ids=repr)
def test_what_is_no_json_gets_one_parse_error(conversation: Conversation, frame: bytes) -> None:
    """R4, R36."""
    assert error_of(only_reply(conversation, frame))["code"] == -32700


NO_MESSAGES = [
    b"1",
    b'"text"',
    b"true",
    b"null",
    b"{}",
    b'{"id":1,"method":"ping"}',
    b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    b'{"jsonrpc":2.0,"id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1}',
    b'{"jsonrpc":"2.0","id":1,"method":5}',
    b'{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * 100 + b"]" * 100 + b"}",
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b'{"a":' * 65 + b"1" + b"}" * 65 + b"}",
]


@over(*REVISIONS)
@pytest.mark.parametrize("frame", NO_MESSAGES, ids=lambda frame: repr(frame[:60]))
def test_json_that_is_no_message_gets_one_invalid_request_error(conversation: Conversation, frame: bytes) -> None:
    """R4."""
    assert error_of(only_reply(conversation, frame))["code"] == -32600


@over(*before(UNKNOWN_ID_OMITTED_SINCE))
def test_an_id_that_could_not_be_read_is_null_where_the_schema_has_no_optional_id(conversation: Conversation) -> None:
    """R4."""
    assert only_reply(conversation, b"{")["id"] is None


@over(*since(UNKNOWN_ID_OMITTED_SINCE))
def test_an_id_that_could_not_be_read_is_left_out_where_the_schema_forbids_null(conversation: Conversation) -> None:
    """R4."""
    assert "id" not in only_reply(conversation, b"{")


@over(*REVISIONS)
def test_an_unknown_method_is_not_found(conversation: Conversation) -> None:
    """R5."""
    for method in ("no/such/method", "", "tools/", "Tools/List", "notifications/initialized", "__init__"):
        assert conversation.error(method)["code"] == -32601, method


MISSHAPEN: list[tuple[str, Any]] = [
    ("tools/call", {}),
    ("tools/call", {"name": 5}),
    ("tools/call", {"name": "echo", "arguments": ["hi"]}),
    ("tools/call", {"name": "echo", "arguments": "hi"}),
    ("tools/list", {"cursor": 5}),
    ("resources/read", {}),
    ("resources/read", {"uri": ["note://01"]}),
    ("prompts/get", {"name": None}),
    ("prompts/get", {"name": "travel", "arguments": {"country": 5}}),
    ("completion/complete", {"ref": {"type": "ref/nothing"}, "argument": {"name": "a", "value": ""}}),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "travel"}}),
]


@over(*REVISIONS)
@pytest.mark.parametrize(("method", "params"), MISSHAPEN, ids=json.dumps)
def test_params_of_a_wrong_shape_are_invalid(conversation: Conversation, method: str, params: JsonObject) -> None:
    """R5, R78, R86."""
    assert conversation.error(method, params)["code"] == -32602


@over(*REVISIONS)
@pytest.mark.parametrize("params", ["[]", '"text"', "5", "true"])
def test_params_that_are_no_object_are_invalid(conversation: Conversation, params: str) -> None:
    """R5."""
    reply = only_reply(conversation, f'{{"jsonrpc":"2.0","id":77,"method":"tools/list","params":{params}}}'.encode())
    assert error_of(reply)["code"] in (-32602, -32600)
    assert reply["id"] == 77


@over(*REVISIONS)
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {"uri": "broken://crash"}),
        ("prompts/get", {"name": "crashing_prompt"}),
    ],
)
def test_an_unexpected_exception_is_an_internal_error_without_details(
    conversation: Conversation, method: str, params: JsonObject
) -> None:
    """R5, R90."""
    error = conversation.error(method, params)
    assert error["code"] == -32603
    assert "secret" not in json.dumps([error, conversation.waiting()])
    assert error["data"]["errorId"] in error["message"]


@over(*REVISIONS)
@pytest.mark.parametrize("name", ["crashes", "crashes_async", "speak_and_fail", "wrong_shape"])
def test_an_unexpected_exception_of_a_tool_is_a_failed_result_without_details(
    conversation: Conversation, name: str
) -> None:
    """R5, R90."""
    result = conversation.tool(name)
    assert result["isError"] is True
    assert "secret" not in json.dumps([result, conversation.waiting()])
    assert result["_meta"]["errorId"] in result["content"][0]["text"]


@over(*HANDSHAKE_REVISIONS)
@pytest.mark.parametrize("method", ["ping", "tools/list", "resources/list", "resources/templates/list", "prompts/list"])
def test_params_that_are_null_count_as_absent(conversation: Conversation, method: str) -> None:
    """R6."""
    result_of(only_reply(conversation, f'{{"jsonrpc":"2.0","id":77,"method":"{method}","params":null}}'.encode()))


@over(*HANDSHAKE_REVISIONS)
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/list", {"cursor": None}),
        ("tools/list", {"_meta": None}),
        ("tools/call", {"name": "report_failure", "arguments": None}),
        ("prompts/get", {"name": "travel", "arguments": None}),
    ],
    ids=json.dumps,
)
def test_optional_params_that_are_null_count_as_absent(
    conversation: Conversation, method: str, params: JsonObject
) -> None:
    """R6."""
    present = {name: value for name, value in params.items() if value is not None}
    with_null, without = conversation.call(method, params), conversation.call(method, present)
    assert {**with_null, "id": 0} == {**without, "id": 0}


@over(*HANDSHAKE_REVISIONS)
@pytest.mark.parametrize("method", ["ping", "tools/list", "resources/list", "resources/templates/list", "prompts/list"])
def test_a_request_that_needs_no_params_may_leave_them_out(conversation: Conversation, method: str) -> None:
    """R6."""
    conversation.result(method)


@over(*REVISIONS)
def test_error_codes_are_integers_and_errors_say_something(conversation: Conversation) -> None:
    """R6."""
    errors = [
        conversation.error("no/such/method"),
        conversation.error("tools/call", {"name": "no_such_tool"}),
        conversation.error("resources/read", {"uri": "no://such"}),
        conversation.error("prompts/get", {"name": "no_such_prompt"}),
        conversation.error("tools/list", {"cursor": "no such cursor"}),
    ]
    for error in errors:
        assert type(error["code"]) is int
        assert error["message"]


@over(*REVISIONS, transports=CONNECTIONS)
def test_an_id_in_use_is_refused_and_the_running_request_keeps_its_answer(conversation: Conversation, key: str) -> None:
    """R7."""
    reused_id_is_refused(conversation, key)


@ONE_PROCESS("each process knows the ids of its own calls")
@over(*HANDSHAKE_REVISIONS, transports=("http",))
def test_an_id_in_use_in_a_session_is_refused(conversation: Conversation, key: str) -> None:
    """R7: in the stateless era two POSTs count as two clients, which may use the same id."""
    reused_id_is_refused(conversation, key)


def reused_id_is_refused(conversation: Conversation, key: str) -> None:
    conversation.start_tool("hold", {"key": key}, id="twice")
    conversation.text("story", {"key": key, "until": "held"})
    assert error_of(conversation.reply(conversation.start("tools/list", id="twice")))["code"] == -32600
    conversation.text("open_gate", {"key": key})
    assert result_of(conversation.reply("twice"))["content"][0]["text"] == f"{key} was opened"


@over(STATELESS, transports=("http",))
def test_two_stateless_posts_may_have_the_same_id(conversation: Conversation, key: str) -> None:
    """R7, R24."""
    conversation.start_tool("hold", {"key": key}, id="twice")
    conversation.text("story", {"key": key, "until": "held"})
    assert "tools" in result_of(conversation.reply(conversation.start("tools/list", id="twice")))
    conversation.text("open_gate", {"key": key})
    assert "content" in result_of(conversation.reply("twice"))


@over(*REVISIONS)
def test_an_id_may_be_used_again_once_it_was_answered(conversation: Conversation) -> None:
    """R7."""
    for _ in range(3):
        assert conversation.text("echo", {"message": "again"}, id="same") == "again"


def batch_of(conversation: Conversation, *messages: JsonObject) -> list[JsonObject]:
    """Send messages as a batch and return the replies, sorted by id."""
    conversation.send(list(messages))
    expected = [message for message in messages if "id" in message]
    return sorted((conversation.message() for _ in expected), key=lambda reply: str(reply["id"]))


@over(BATCHING)
def test_a_batch_gets_one_answer_for_each_request(conversation: Conversation) -> None:
    """R8."""
    replies = batch_of(
        conversation,
        request("a", "ping"),
        {"jsonrpc": "2.0", "method": "notifications/no_such_thing"},
        request("b", "tools/call", {"name": "echo", "arguments": {"message": "hi"}}),
        request("c", "no/such/method"),
    )
    assert [reply["id"] for reply in replies] == ["a", "b", "c"]
    assert replies[0]["result"] == {}
    assert replies[1]["result"]["content"][0]["text"] == "hi"
    assert replies[2]["error"]["code"] == -32601
    assert not conversation.settle()


@over(BATCHING)
def test_a_batch_of_notifications_is_not_answered(conversation: Conversation) -> None:
    """R8."""
    conversation.send([{"jsonrpc": "2.0", "method": "notifications/no_such_thing"}] * 3)
    assert not conversation.settle()


@over(BATCHING)
def test_an_empty_batch_is_one_invalid_request(conversation: Conversation) -> None:
    """R8."""
    assert error_of(only_reply(conversation, b"[]"))["code"] == -32600


@over(BATCHING)
def test_what_is_no_message_in_a_batch_is_refused_alone(conversation: Conversation) -> None:
    """R8."""
    conversation.send([request("a", "ping"), 5, {"jsonrpc": "2.0", "id": "b"}])
    assert conversation.reply("a")["result"] == {}
    assert error_of(conversation.reply("b"))["code"] == -32600
    assert error_of(conversation.reply(None))["code"] == -32600


@over(BATCHING)
def test_a_batch_with_a_slow_request_does_not_stop_other_requests(conversation: Conversation, key: str) -> None:
    """R8, R37."""
    conversation.send(
        [request("slow", "tools/call", {"name": "hold", "arguments": {"key": key}}), request("b", "ping")]
    )
    conversation.text("story", {"key": key, "until": "held"})
    conversation.text("open_gate", {"key": key})
    assert result_of(conversation.reply("slow"))["content"]
    assert conversation.reply("b")["result"] == {}


@over(BATCHING)
def test_initialize_is_refused_in_a_batch(connect: OpenFresh) -> None:
    """R9."""
    with connect() as conversation:
        params = {"protocolVersion": BATCHING, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
        conversation.send([request("i", "initialize", params), request("p", "ping")])
        refused = conversation.message()
        assert error_of(refused)["code"] == -32600
        conversation.forget()
        assert conversation.handshake()["protocolVersion"] == BATCHING


@over(*(revision for revision in REVISIONS if revision != BATCHING))
def test_an_array_is_refused_where_there_are_no_batches(conversation: Conversation) -> None:
    """R10."""
    params = conversation.envelope({})
    for batch in ([request("a", "tools/list", params)], [request("a", "tools/list", params)] * 2, []):
        conversation.send(batch)
        assert error_of(conversation.message())["code"] == -32600
        assert not conversation.settle()


@over(STATELESS)
def test_only_codes_that_the_specification_defines_come_from_its_range(bare: Conversation) -> None:
    """R11."""
    errors = [
        bare.error("no/such/method"),
        bare.error("tools/call", {"name": "no_such_tool"}),
        bare.error("resources/read", {"uri": "broken://crash"}),
        bare.error("tools/call", {"name": "ask_name"}),
        bare.error("tools/call", {"name": "ask_visit"}),
        bare.error("resources/read", {"uri": "no://such"}),
        bare.error("resources/read", {"uri": "broken://refused"}),
        bare.error("prompts/get", {"name": "no_such_prompt"}),
        bare.error("prompts/get", {"name": "travel"}),
        bare.error("tools/list", {"cursor": "no such cursor"}),
        bare.error("tools/list", revision="1900-01-01"),
        bare.error("tools/call", {"name": "echo", "arguments": {"message": "a"}, "requestState": "forged"}),
    ]
    for error in errors:
        assert error["code"] in RESERVED_CODES or not -32768 <= error["code"] <= -32000, error


@over(STATELESS)
@pytest.mark.parametrize("method", SUCCEEDING)
def test_every_result_has_a_type_and_names_the_server(conversation: Conversation, method: str) -> None:
    """R12, R13."""
    result = conversation.result(method, SUCCEEDING[method])
    assert result["resultType"] == "complete"
    info = result["_meta"][f"{META_PREFIX}serverInfo"]
    assert info["name"]
    assert info["version"]


@over(STATELESS)
def test_a_result_that_asks_for_input_has_a_type_and_names_the_server(conversation: Conversation) -> None:
    """R12, R13."""
    result = conversation.tool("ask_name")
    assert result["resultType"] == "input_required"
    assert result["_meta"][f"{META_PREFIX}serverInfo"]["name"]


META_KEY = re.compile(r"(?:[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*/)?"
                      r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?")  # fmt: skip
RESERVED_KEYS = {f"{META_PREFIX}serverInfo", f"{META_PREFIX}subscriptionId"}


def meta_keys(value: Any) -> set[str]:
    """Return the keys of every `_meta` within a value."""
    if isinstance(value, dict):
        own = set(value["_meta"]) if isinstance(value.get("_meta"), dict) else set()
        return own.union(*(meta_keys(child) for child in value.values()))
    return set().union(*(meta_keys(child) for child in value)) if isinstance(value, list) else set()


@over(*REVISIONS)
def test_metadata_keys_are_well_formed_and_take_no_reserved_prefix(conversation: Conversation) -> None:
    """R14."""
    methods = {method: SUCCEEDING[method] for method in SUCCEEDING if method != "server/discover"}
    for method, params in methods.items():
        for name in meta_keys(conversation.result(method, params)):
            assert META_KEY.fullmatch(name), name
            second = name.partition("/")[0].split(".")[1:2] if "/" in name else []
            assert name in RESERVED_KEYS or second not in (["mcp"], ["modelcontextprotocol"]), name


@over(*REVISIONS)
def test_unknown_metadata_is_tolerated(conversation: Conversation) -> None:
    """R14."""
    meta = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
        "tracestate": "rojo=1",
        "com.example/anything": {"deep": [1, None]},
        "plain": 5,
    }
    assert conversation.text("echo", {"message": "hi"}, meta=meta) == "hi"
    assert conversation.text("echo", {"message": "hi"}, meta={"traceparent": "nonsense", "baggage": 5}) == "hi"
    conversation.result("tools/list", {"_meta": meta})


TEXTS = [
    "äöü",
    "名前",
    "😀👩‍👩‍👧",
    "\u2028\u2029",
    'quotes " and \\ and \n newlines \r\n\t',
    "\x00\x1f\x7f",
    "\u202ereversed",
    "",
]


@over(*REVISIONS)
@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_text_passes_unchanged(conversation: Conversation, text: str) -> None:
    """R15."""
    assert conversation.text("echo", {"message": text}) == text


@over(*FEW)
def test_text_may_be_sent_escaped_or_as_it_is(conversation: Conversation) -> None:
    """R15."""
    params = conversation.envelope({"name": "echo", "arguments": {"message": "😀 é"}})
    message = request("escaped", "tools/call", params)
    for frame in (json.dumps(message), json.dumps(message, ensure_ascii=False)):
        conversation.send_frame(frame.encode(), message)
        assert result_of(conversation.reply("escaped"))["content"][0]["text"] == "😀 é"


@over(*REVISIONS)
def test_unknown_fields_are_ignored(conversation: Conversation) -> None:
    """R15."""
    call = {"name": "echo", "arguments": {"message": "hi"}, "future": {"a": [1]}}
    assert conversation.result("tools/call", call)["content"][0]["text"] == "hi"
    conversation.result("tools/list", {"future": True})
    conversation.result("resources/read", {"uri": "note://01", "future": True})
    conversation.send({**request("odd", "tools/list", conversation.envelope({})), "future": 1})
    result_of(conversation.reply("odd"))
