"""Headers that repeat the body: values that match, and values that are refused."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tfo_mcp.domain.errors import Kind
from tfo_mcp.domain.tool import MirroredParameter
from tfo_mcp.presentation.jsonrpc import Request
from tfo_mcp.presentation.protocol import headers
from tfo_mcp.presentation.protocol.faults import Fault, Refusal
from tfo_mcp.presentation.protocol.revisions import LATEST_STATELESS

Values = Mapping[str, Sequence[str]]


def encoded(text: str) -> str:
    """Return a text in the Base64 form for values that a header cannot carry."""
    return f"=?base64?{b64encode(text.encode()).decode()}?="


def given(**values: str) -> Values:
    """Return headers, each with one value; underscores stand for hyphens."""
    return {name.replace("_", "-"): [value] for name, value in values.items()}


class TestVersion:
    @pytest.mark.parametrize("value", ["revision", " revision", "revision\t "])
    def test_the_same_version_passes_with_blanks_around_it(self, value: str) -> None:
        headers.check_version(given(mcp_protocol_version=value), "revision")

    @pytest.mark.parametrize(
        "values",
        [{}, {"mcp-protocol-version": []}, {"mcp-protocol-version": ["revision", "revision"]}]
        + [given(mcp_protocol_version=value) for value in ("", "other", "Revision", "revision,revision", "revisiön")],
    )
    def test_anything_else_is_a_mismatch(self, values: Values) -> None:
        with pytest.raises(Refusal) as caught:
            headers.check_version(values, "revision")
        assert caught.value.fault.kind is Kind.HEADER_MISMATCH
        assert "MCP-Protocol-Version" in caught.value.fault.message


class TestRouting:
    @pytest.mark.parametrize(
        ("method", "params", "values"),
        [
            ("tools/list", {}, given(mcp_method="tools/list")),
            ("tools/list", {"name": "ignored"}, given(mcp_method="tools/list")),
            ("tools/call", {"name": "echo"}, given(mcp_method="tools/call", mcp_name="echo")),
            ("tools/call", {"name": "echo"}, given(mcp_method="tools/call", mcp_name=encoded("echo"))),
            ("prompts/get", {"name": "grüße"}, given(mcp_method="prompts/get", mcp_name=encoded("grüße"))),
            ("resources/read", {"uri": "a://b"}, given(mcp_method="resources/read", mcp_name="a://b")),
            ("tools/call", {"name": "=?base64?"}, given(mcp_method="tools/call", mcp_name="=?base64?")),
            ("tools/call", {"name": 5}, given(mcp_method="tools/call")),
            ("tools/call", {}, given(mcp_method="tools/call")),
        ],
    )
    def test_what_says_the_same_passes(self, method: str, params: dict[str, Any], values: Values) -> None:
        headers.check_routing(values, Request(1, method, params), LATEST_STATELESS)

    @pytest.mark.parametrize(
        ("values", "problem"),
        [
            ({}, "Mcp-Method is missing"),
            (given(mcp_method="tools/call"), "Mcp-Name is missing"),
            (given(mcp_method="TOOLS/CALL", mcp_name="echo"), "Mcp-Method does not match"),
            (given(mcp_method="tools/call", mcp_name="Echo"), "Mcp-Name does not match"),
            (given(mcp_method="tools/call", mcp_name=""), "Mcp-Name does not match"),
            (given(mcp_method="tools/call", mcp_name=encoded("other")), "Mcp-Name does not match"),
            (given(mcp_method="tools/call", mcp_name="=?base64?!?="), "Mcp-Name is not valid base64"),
            (given(mcp_method="tools/call", mcp_name="=?base64?/w==?="), "Mcp-Name is not valid base64"),
            (given(mcp_method="tools/call", mcp_name="ec\x00ho"), "Mcp-Name has characters"),
            (given(mcp_method="tools/call", mcp_name="échо"), "Mcp-Name has characters"),
            ({"mcp-method": ["tools/call"], "mcp-name": ["echo", "echo"]}, "Mcp-Name is given more than once"),
            ({"mcp-method": ["tools/call"] * 2, "mcp-name": ["echo"]}, "Mcp-Method is given more than once"),
        ],
    )
    def test_a_difference_is_refused_and_named(self, values: Values, problem: str) -> None:
        with pytest.raises(Refusal) as caught:
            headers.check_routing(values, Request(1, "tools/call", {"name": "echo"}), LATEST_STATELESS)
        assert caught.value.fault.kind is Kind.HEADER_MISMATCH
        assert caught.value.revision is LATEST_STATELESS
        assert problem in caught.value.fault.message


REGION = MirroredParameter("Region", ("region",), "string")
LEVEL = MirroredParameter("Level", ("inner", "level"), "integer")
ON = MirroredParameter("On", ("on",), "boolean")


class TestMirroredArguments:
    @pytest.mark.parametrize(
        ("parameter", "arguments", "value"),
        [
            (REGION, {"region": "eu"}, "eu"),
            (REGION, {"region": "eu"}, encoded("eu")),
            (REGION, {"region": "grün "}, encoded("grün ")),
            (REGION, {"region": ""}, ""),
            (REGION, {"region": "5"}, "5"),
            (REGION, {}, None),
            (REGION, {"region": None}, None),
            (LEVEL, {"inner": {"level": 5}}, "5"),
            (LEVEL, {"inner": {"level": -5}}, "-5"),
            (LEVEL, {"inner": {"level": 0}}, "0"),
            (LEVEL, {"inner": {"level": 2**53 - 1}}, str(2**53 - 1)),
            (LEVEL, {"inner": {"level": 5.0}}, "5"),
            (LEVEL, {"inner": {"level": 5}}, "5.0"),
            (LEVEL, {"inner": {}}, None),
            (LEVEL, {"inner": "no object"}, None),
            (LEVEL, {}, None),
            (ON, {"on": True}, "true"),
            (ON, {"on": False}, "false"),
        ],
    )
    def test_what_says_the_same_passes(
        self, parameter: MirroredParameter, arguments: dict[str, Any], value: str | None
    ) -> None:
        name = f"mcp-param-{parameter.header.lower()}"
        headers.check_mirrored({} if value is None else {name: [value]}, [parameter], arguments)

    @pytest.mark.parametrize(
        ("parameter", "arguments", "values"),
        [
            (REGION, {"region": "eu"}, []),
            (REGION, {"region": "eu"}, ["us"]),
            (REGION, {"region": "eu"}, ["EU"]),
            (REGION, {"region": "eu"}, ["eu", "eu"]),
            (REGION, {"region": "eu"}, ["=?base64?!?="]),
            (REGION, {"region": "grün"}, ["grün"]),
            (REGION, {}, ["eu"]),
            (REGION, {"region": None}, ["null"]),
            (LEVEL, {"inner": {"level": 5}}, ["6"]),
            (LEVEL, {"inner": {"level": 5}}, ["five"]),
            (LEVEL, {"inner": {"level": 5}}, ["0x5"]),
            (LEVEL, {"inner": {"level": 5}}, ["5_"]),
            (LEVEL, {"inner": {"level": 5}}, ["nan"]),
            (LEVEL, {"inner": {"level": 5}}, [""]),
            (LEVEL, {"inner": {"level": 2**53 - 1}}, [str(2**53 - 2)]),
            (LEVEL, {"inner": {"level": 5}}, ["9" * 10_000]),
            (ON, {"on": True}, ["True"]),
            (ON, {"on": True}, ["1"]),
            (ON, {"on": False}, ["true"]),
        ],
    )
    def test_a_difference_is_refused_and_named(
        self, parameter: MirroredParameter, arguments: dict[str, Any], values: list[str]
    ) -> None:
        name = f"mcp-param-{parameter.header.lower()}"
        with pytest.raises(Fault, match=f"Mcp-Param-{parameter.header}") as caught:
            headers.check_mirrored({name: values} if values else {}, [parameter], arguments)
        assert caught.value.kind is Kind.HEADER_MISMATCH
