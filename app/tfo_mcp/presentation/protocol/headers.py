"""Checks that HTTP headers match the request body that they mirror, and encodes such headers for clients.

Source: 2026-07-28 transports/streamable-http, Request Metadata. Load balancers may route by these headers, so a
mismatch is rejected. Pure functions over header values; the base64 form `=?base64?...?=` is decoded before comparing.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfo_mcp.domain.errors import InvalidDefinition, Kind
from tfo_mcp.domain.tool import MirroredParameter, mirrored_parameters
from tfo_mcp.presentation.jsonrpc import Request, encode_value
from tfo_mcp.presentation.protocol.faults import Fault, Refusal
from tfo_mcp.presentation.protocol.revisions import LATEST_STATELESS, Revision

VERSION = "mcp-protocol-version"
_METHOD = "mcp-method"
_NAME = "mcp-name"
_PARAMETER = "mcp-param-"
_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PREFIX, _SUFFIX = "=?base64?", "?="

Headers = Mapping[str, Sequence[str]]

_PLAIN = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")


def mirrors(method: str, params: Mapping[str, Any], input_schema: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers with which a client mirrors a request.

    Args:
        input_schema: that of the tool that is called; it marks the arguments to mirror.

    Raises:
        UnicodeEncodeError: a text has surrogates, so that it has no UTF-8.
        ValueError: the schema marks arguments in a way that the specification forbids.
    """
    headers = {"Mcp-Method": method}
    name = params.get(_NAMED_BY.get(method, ""))
    if isinstance(name, str):
        headers["Mcp-Name"] = _header_value(name)
    try:
        mirrored = mirrored_parameters(str(name), input_schema)
    except InvalidDefinition as problem:
        raise ValueError(problem.message) from None
    for parameter in mirrored:
        value = _value_at(params.get("arguments") or {}, parameter.path)
        if value is not None:
            text = value if isinstance(value, str) else encode_value(value).decode()
            headers[f"Mcp-Param-{parameter.header}"] = _header_value(text)
    return headers


def _header_value(text: str) -> str:
    if _PLAIN.fullmatch(text) and not text.startswith(_PREFIX):
        return text
    return f"{_PREFIX}{base64.b64encode(text.encode()).decode()}{_SUFFIX}"


class _Mismatch(Exception):
    """Describes the mismatch for the client."""


def check_version(headers: Headers, version: str) -> None:
    """Check the version header against the body's version.

    Raises:
        Refusal: it is missing, repeated, or different.
    """
    if headers.get(VERSION) == (version,):
        return
    try:
        _compare("MCP-Protocol-Version", _single(headers, VERSION, "MCP-Protocol-Version"), version)
    except _Mismatch as problem:
        raise Refusal(Fault(Kind.HEADER_MISMATCH, f"Header mismatch: {problem}"), LATEST_STATELESS) from None


def check_routing(headers: Headers, request: Request, revision: Revision) -> None:
    """Check Mcp-Method and, for methods with a name or URI, Mcp-Name against the body.

    Raises:
        Refusal: a header is missing, repeated, badly encoded, or different.
    """
    try:
        if headers.get(_METHOD) != (request.method,):
            _compare("Mcp-Method", _single(headers, _METHOD, "Mcp-Method"), request.method)
        field = _NAMED_BY.get(request.method)
        name = request.params.get(field) if field is not None else None
        if isinstance(name, str) and not (headers.get(_NAME) == (name,) and _is_plain(name)):
            _compare("Mcp-Name", _decoded(_single(headers, _NAME, "Mcp-Name"), "Mcp-Name"), name)
    except _Mismatch as problem:
        raise Refusal(Fault(Kind.HEADER_MISMATCH, f"Header mismatch: {problem}"), revision) from None


def check_mirrored(headers: Headers, mirrored: Sequence[MirroredParameter], arguments: Mapping[str, Any]) -> None:
    """Check the Mcp-Param headers of a tool against its arguments.

    Raises:
        Fault: a header is missing, repeated, badly encoded, different, or present without its argument.
    """
    try:
        for parameter in mirrored:
            _check_parameter(headers, parameter, _value_at(arguments, parameter.path))
    except _Mismatch as problem:
        raise Fault(Kind.HEADER_MISMATCH, f"Header mismatch: {problem}") from None


def _check_parameter(headers: Headers, parameter: MirroredParameter, value: Any) -> None:
    shown = f"Mcp-Param-{parameter.header}"
    name = _PARAMETER + parameter.header.lower()
    if value is None:
        if name in headers:
            raise _Mismatch(f"{shown} is given, but the argument is not")
        return
    given = _decoded(_single(headers, name, shown), shown)
    if isinstance(value, bool):
        matches = given == ("true" if value else "false")
    elif isinstance(value, int | float):
        matches = _same_number(given, value)
    else:
        matches = given == value
    if not matches:
        raise _Mismatch(f"{shown} does not match the argument")


def _value_at(arguments: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = arguments
    for step in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _same_number(given: str, value: float) -> bool:
    return _NUMBER.fullmatch(given) is not None and float(given) == value


def _single(headers: Headers, name: str, shown: str) -> str:
    values = headers.get(name, ())
    if len(values) != 1:
        raise _Mismatch(f"{shown} is {'missing' if not values else 'given more than once'}")
    value = values[0].strip(" \t")
    if not (value.isascii() and (value.isprintable() or value.replace("\t", " ").isprintable())):
        raise _Mismatch(f"{shown} has characters that are not allowed in a header")
    return value


def _is_plain(value: str) -> bool:
    """Return whether a value can be sent in a header without base64 encoding."""
    return value.isascii() and not value.startswith(_PREFIX)


def _decoded(value: str, shown: str) -> str:
    if not (value.startswith(_PREFIX) and value.endswith(_SUFFIX) and len(value) >= len(_PREFIX) + len(_SUFFIX)):
        return value
    try:
        return base64.b64decode(value[len(_PREFIX) : -len(_SUFFIX)], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise _Mismatch(f"{shown} is not valid base64 of UTF-8") from None


def _compare(shown: str, header: str, body: str) -> None:
    if header != body:
        raise _Mismatch(f"{shown} does not match the body")
