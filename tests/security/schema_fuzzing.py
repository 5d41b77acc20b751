"""A differential fuzzer: params and answers with random changes, for the server's schemas and the official types.

Python's `1` for a boolean or "5" for an integer are accepted by the official types, which convert; JSON distinguishes
them, and so does the server. Hence two comparisons: what the server accepts the official types accept, and what they
accept without conversion the server accepts.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tests.security.fuzz_failure import Failure
from tests.support.conversations import EVERYTHING
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, stateless_params
from tests.support.protocol_schemas import ANSWERS, requests
from tfo_mcp.domain.errors import InvalidAnswer
from tfo_mcp.domain.interaction import Elicit, ListRoots, Question, Sample
from tfo_mcp.presentation.jsonrpc import Request
from tfo_mcp.presentation.protocol.questions import decode
from tfo_mcp.presentation.protocol.revisions import REVISIONS, Revision
from tfo_mcp.presentation.protocol.validation import InvalidShape, check_request

_META = {"progressToken": "t", "own/key": {"a": [1, None]}}
_TEXT = {"type": "text", "text": "t", "annotations": {"audience": ["user"], "priority": 0.5}}
_FORM = {"action": "accept", "content": {"a": "x", "n": 1.5, "b": True, "l": ["x"], "none": None}}
PARAMS: Mapping[str, Mapping[str, Any]] = {
    "initialize": initialize_params(LATEST_HANDSHAKE, {**EVERYTHING, "experimental": {"x": {}}}),
    "tools/call": {"name": "echo", "arguments": {"message": "x"}, "inputResponses": {"k": _FORM}, "requestState": "s"},
    "prompts/get": {"name": "p", "arguments": {"a": "b"}, "inputResponses": {"k": {"roots": []}}},
    "resources/read": {"uri": "a://b", "inputResponses": {"k": {"role": "user", "content": _TEXT, "model": "m"}}},
    "resources/subscribe": {"uri": "a://b"},
    "resources/unsubscribe": {"uri": "a://b"},
    "logging/setLevel": {"level": "error"},
    "completion/complete": {
        "ref": {"type": "ref/resource", "uri": "a://{b}"},
        "argument": {"name": "b", "value": "v"},
        "context": {"arguments": {"c": "d"}},
    },
    "subscriptions/listen": {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["a://b"]}},
}
"""Params with all optional members, by method; other methods take a cursor."""
QUESTIONS: Mapping[str, Question] = {
    "elicitation/create": Elicit("Name?", {}),
    "sampling/createMessage": Sample([], 1),
    "roots/list": ListRoots(),
}
VALID_ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "elicitation/create": _FORM,
    "sampling/createMessage": {"role": "assistant", "content": _TEXT, "model": "m", "stopReason": "endTurn"},
    "roots/list": {"roots": [{"uri": "file:///a", "name": "a"}]},
}
_NAMES = ("type", "text", "uri", "name", "_meta", "x", "content")
_ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    1.0,
    2**70,
    "",
    "x",
    "user",
    "text",
    [],
    {},
    [None],
    [{}],
    ["x"],
    {"a": 1},
)


def fuzz_schemas(inputs: int, seed: int) -> None:
    """Compare the verdicts on that many changed params and answers, in turn for each revision and method.

    Raises:
        Failure: the verdicts differ.
    """
    random = Random(seed)
    cases: list[tuple[Revision | None, str]] = [(None, method) for method in ANSWERS]
    for revision in REVISIONS.values():
        cases.extend((revision, method) for method in sorted(requests(revision.handshake)))
    for number in range(inputs):
        place, method = cases[number % len(cases)]
        _compare(place, method, _changed(random, _valid(place, method)))


def _valid(revision: Revision | None, method: str) -> Any:
    if revision is None:
        return VALID_ANSWERS[method]
    params = {"_meta": _META, **PARAMS.get(method, {"cursor": "c"})}
    return params if revision.handshake else stateless_params(params, log_level="info")


def _changed(random: Random, valid: Any) -> Any:
    value = deepcopy(valid)
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        container, key = _place(random, value)
        change = random.randrange(4)
        if change == 0:
            del container[key]
        elif change == 1 and isinstance(container, dict):
            container[random.choice(_NAMES)] = deepcopy(random.choice(_ODD))
        else:
            container[key] = deepcopy(random.choice(_ODD))
        if not value:
            break
    return value


def _place(random: Random, value: Any) -> tuple[Any, Any]:
    """Return a container inside a value and one of its keys."""
    while True:
        key = random.choice(list(value) if isinstance(value, dict) else range(len(value)))
        inner = value[key]
        if not isinstance(inner, dict | list) or not inner or random.randrange(3) == 0:
            return value, key
        value = inner


def _compare(revision: Revision | None, method: str, value: Any) -> None:
    accepted = _is_accepted(revision, method, value)
    adapter = _official(None if revision is None else revision.handshake, method)
    body = value if revision is None else {"jsonrpc": "2.0", "id": 0, "method": method, "params": value}
    if accepted and not _fits(adapter, body, strict=False):
        raise Failure(f"the official types refuse {method}", json.dumps(value).encode())
    if not accepted and _fits(adapter, body, strict=True):
        raise Failure(f"only the server refuses {method}", json.dumps(value).encode())


def _is_accepted(revision: Revision | None, method: str, value: Any) -> bool:
    try:
        if revision is None:
            decode(QUESTIONS[method], value, "answer")
        else:
            check_request(Request(0, method, value), revision)
    except (InvalidShape, InvalidAnswer):
        return False
    return True


def _fits(adapter: TypeAdapter[Any], body: Any, *, strict: bool) -> bool:
    try:
        adapter.validate_json(json.dumps(body), strict=strict, by_name=False)
    except ValidationError:
        return False
    return True


@cache
def _official(handshake: bool | None, method: str) -> TypeAdapter[Any]:
    return TypeAdapter(ANSWERS[method] if handshake is None else requests(handshake)[method])
