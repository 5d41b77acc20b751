"""The stateless era: every request carries its own metadata, and the server keeps no state between requests.

A question to the client ends the call (`InputRequired`). The client retries the request with the answers, and the
handler runs again from the beginning.
"""

from collections.abc import Mapping
from typing import Any

from tfo_mcp.domain.errors import Kind
from tfo_mcp.domain.events import Change
from tfo_mcp.domain.interaction import Answer, InputRequired, Question
from tfo_mcp.domain.text import shortened
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.jsonrpc import Request, RequestId
from tfo_mcp.presentation.protocol import headers
from tfo_mcp.presentation.protocol import questions as question_rendering
from tfo_mcp.presentation.protocol.call import Call, Correlation, Facts, Outlet
from tfo_mcp.presentation.protocol.faults import Fault, Refusal, unknown_method
from tfo_mcp.presentation.protocol.metadata import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LOG_LEVEL,
    PROTOCOL_VERSION,
    SERVER_INFO,
    SUBSCRIPTION_ID,
)
from tfo_mcp.presentation.protocol.rendering import JsonObject, change_notification, mapping
from tfo_mcp.presentation.protocol.revisions import (
    LATEST_STATELESS,
    REVISIONS,
    STATELESS_VERSIONS,
    Revision,
    stateless_revision,
)
from tfo_mcp.presentation.protocol.validation import InvalidShape, check_request, encode_result

_ENVELOPE_KEYS = frozenset({PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO})
_ONLY_STATELESS = LATEST_STATELESS.methods - frozenset(
    method for revision in REVISIONS.values() if revision.handshake for method in revision.methods
)


class StatelessEra:
    """Implements the revisions without a handshake."""

    def __init__(self, server_info: JsonObject) -> None:
        self._server_info = server_info
        self._encoded_meta = jsonrpc.encode_value({SERVER_INFO: server_info})

    @staticmethod
    def claims(request: Request, facts: Facts, correlation: Correlation) -> bool:
        """Return whether a request belongs to this era, by its metadata, its version header or its method."""
        if not _ENVELOPE_KEYS.isdisjoint(mapping(request.params.get("_meta"))):
            return True
        if stateless_revision(facts.header(headers.VERSION)) is not None:
            return True
        return request.method in _ONLY_STATELESS and correlation.session_id is None

    async def open(self, request: Request, facts: Facts, outlet: Outlet, correlation: Correlation) -> Call:
        """Check the request step by step and return its call.

        Raises:
            Refusal: a check failed.
        """
        # 1. The required metadata is present.
        meta = mapping(request.params.get("_meta"))
        version, capabilities = _envelope(meta)
        # 2. The version header matches the metadata.
        if facts.transport.mirrors_messages:
            headers.check_version(facts.headers, version)
        # 3. The version is supported.
        revision = stateless_revision(version)
        if revision is None:
            supported = list(STATELESS_VERSIONS)
            problem = "Unsupported protocol version"
            fault = Fault(Kind.UNSUPPORTED_VERSION, problem, supported=supported, requested=shortened(version))
            raise Refusal(fault, LATEST_STATELESS)
        # 4. The routing headers match the body.
        if facts.transport.mirrors_messages:
            headers.check_routing(facts.headers, request, revision)
        # 5. The method exists in the revision.
        if request.method not in revision.methods:
            raise Refusal(unknown_method(request.method), revision)
        # 6. The params match the method's schema.
        _validate(request, revision)
        return Call(
            request,
            self,
            revision,
            facts,
            outlet,
            Correlation(),
            capabilities=question_rendering.client_capabilities(capabilities),
            meta=meta,
            log_level=meta.get(LOG_LEVEL),
        )

    async def check(self, call: Call) -> None:
        """Check that the headers that mirror the tool's arguments match the body.

        Raises:
            Fault: a header does not match.
        """
        if call.tool is not None and call.tool.mirrored and call.facts.transport.mirrors_messages:
            arguments = mapping(call.params.get("arguments"))
            headers.check_mirrored(call.facts.headers, call.tool.mirrored, arguments)

    async def ask(self, call: Call, questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Return the answers that the client sent with the request.

        Raises:
            InputRequired: some answers are missing.
            InvalidAnswer: an answer does not fit its question.
        """
        answers = call.answers or {}
        call.used_answers |= questions.keys() & answers.keys()
        missing = {key: question for key, question in questions.items() if key not in answers}
        if missing:
            raise InputRequired(missing)
        return {key: question_rendering.decode(question, answers[key], key) for key, question in questions.items()}

    def finish(self, call: Call, result: Mapping[str, Any], *, ttl_ms: int = 0, shared: bool = False) -> bytes:
        """Return the result as JSON, with its result type, the server info and the cache hints."""
        complete: JsonObject = {"resultType": "complete", **result}
        complete["_meta"] = {**mapping(result.get("_meta")), SERVER_INFO: self._server_info}
        if call.method in call.revision.cacheable_methods and complete["resultType"] == "complete":
            complete["ttlMs"] = ttl_ms
            complete["cacheScope"] = "public" if shared else "private"
        return encode_result(call.method, call.revision, complete)

    def finish_encoded(self, members: bytes) -> bytes:
        """Return a complete result as JSON, with the server info, given its members as JSON without braces."""
        return b'{"resultType":"complete",%b,"_meta":%b}' % (members, self._encoded_meta)

    def announce(self, change: Change, tag: RequestId | None = None) -> bytes:
        """Return the notification frame that reports a change to the subscription with the id `tag`."""
        method, params = change_notification(change)
        return jsonrpc.encode_notification(method, {**(params or {}), "_meta": {SUBSCRIPTION_ID: tag}})


def _envelope(meta: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    version = meta.get(PROTOCOL_VERSION)
    if not isinstance(version, str):
        problem = f"Invalid params: _meta needs a string '{PROTOCOL_VERSION}'"
        raise Refusal(Fault(Kind.INVALID_META, problem), LATEST_STATELESS)
    capabilities = meta.get(CLIENT_CAPABILITIES)
    if not isinstance(capabilities, Mapping):
        problem = f"Invalid params: _meta needs an object '{CLIENT_CAPABILITIES}'"
        raise Refusal(Fault(Kind.INVALID_META, problem), LATEST_STATELESS)
    return version, capabilities


def _validate(request: Request, revision: Revision) -> None:
    try:
        check_request(request, revision)
    except InvalidShape as problem:
        kind = Kind.INVALID_META if problem.in_meta else Kind.INVALID_PARAMS
        raise Refusal(Fault(kind, str(problem)), revision) from None
