"""Input rounds: a call that needs client input ends with `input_required`, and the client retries it with the answers.

The client carries the earlier answers as a signed `requestState` (2026-07-28 basic/patterns/mrtr). It is bound to the
caller, the method, the arguments and an expiry time. Handlers are unaware of it. Revisions with a handshake have no
input rounds, so this layer is a no-op for them.
"""

import hashlib
from collections.abc import Callable, Mapping
from time import time
from typing import Any

from pydantic_core import from_json

from tfo_mcp.application.ports import Sealer
from tfo_mcp.domain.errors import RequestStateRejected
from tfo_mcp.domain.interaction import InputRequired, Question
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol import questions as question_rendering
from tfo_mcp.presentation.protocol.call import Call
from tfo_mcp.presentation.protocol.rendering import mapping

_ROUND_FIELDS = frozenset({"_meta", "inputResponses", "requestState"})


class InputRounds:
    """Seals and opens the state between the rounds of one request; `lifetime_seconds` limits its age."""

    def __init__(self, sealer: Sealer, lifetime_seconds: float, clock: Callable[[], float] = time) -> None:
        self._sealer = sealer
        self._lifetime = lifetime_seconds
        self._clock = clock

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call with the answers so far, or return the questions that the client must answer next.

        Raises:
            RequestStateRejected: the state was altered, has expired, or belongs to another request or caller.
        """
        if call.method not in call.revision.input_methods:
            return await call_next(call)
        state = call.params.get("requestState")
        responses = call.params.get("inputResponses")
        if state is not None or responses is not None:
            earlier = {} if state is None else self._open(call, state)
            call.answers = {**earlier.get("answers", {}), **mapping(responses)}
            call.carried = earlier.get("carried", {})
        try:
            return await call_next(call)
        except InputRequired as need:
            return self._ask(call, need.questions)

    def _ask(self, call: Call, questions: Mapping[str, Question]) -> bytes:
        requests = {}
        for key, question in questions.items():
            method, params = question_rendering.encode(question, call.revision, key)
            requests[key] = {"method": method, "params": params}
        given = call.answers or {}
        answers = {key: given[key] for key in sorted(call.used_answers)}
        result = {"resultType": "input_required", "inputRequests": requests, "requestState": self._seal(call, answers)}
        return call.era.finish(call, result)

    def _seal(self, call: Call, answers: Mapping[str, Any]) -> str:
        state = {
            "caller": call.caller.name,
            "request": _digest(call),
            "expires": self._clock() + self._lifetime,
            "answers": answers,
            "carried": call.carried,
        }
        return self._sealer.seal(jsonrpc.encode_value(state))

    def _open(self, call: Call, sealed: str) -> dict[str, Any]:
        """Return the state of the earlier rounds.

        Raises:
            RequestStateRejected: it was altered, has expired, or belongs to another request or caller.
        """
        payload = self._sealer.unseal(sealed)
        if payload is None:
            raise RequestStateRejected
        state: dict[str, Any] = from_json(payload)
        if state["caller"] != call.caller.name or state["request"] != _digest(call) or state["expires"] < self._clock():
            raise RequestStateRejected
        return state


def _digest(call: Call) -> str:
    """Return the SHA-256 that identifies the request: its method and its params without those of the round."""
    own = {name: value for name, value in call.params.items() if name not in _ROUND_FIELDS}
    return hashlib.sha256(call.method.encode() + b"\0" + jsonrpc.canonical(own)).hexdigest()
