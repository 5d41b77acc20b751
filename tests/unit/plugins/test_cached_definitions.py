"""`@tool(cache=...)` is refused where a kept result could be wrong; and the codec keeps results as they are."""

import pytest

from tfo_mcp.application.result_codec import decode, encode
from tfo_mcp.domain.content import Annotations, Audio, BlobContents, EmbeddedResource, Image, ResourceLink, TextContents
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.tool import ToolResult
from tfo_mcp.plugins import Context, SyncContext, Text, ToolHints, tool

READ_ONLY = ToolHints(read_only=True)


def test_only_read_only_tools_can_be_cached() -> None:
    for hints in (None, ToolHints(), ToolHints(idempotent=True)):
        with pytest.raises(InvalidDefinition, match="read_only=True"):

            @tool(hints=hints, cache=1)
            def change() -> None: ...


def test_a_cached_function_takes_no_context() -> None:
    with pytest.raises(InvalidDefinition, match="must not take a context"):

        @tool(hints=READ_ONLY, cache=1)
        async def look(ctx: Context) -> None: ...

    with pytest.raises(InvalidDefinition, match="must not take a context"):

        @tool(hints=READ_ONLY, cache=1)
        def look_plainly(ctx: SyncContext) -> None: ...


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 86_401, True])
def test_the_time_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(InvalidDefinition, match="above 0 and at most a day"):

        @tool(hints=READ_ONLY, cache=seconds)
        def look() -> None: ...


@pytest.mark.parametrize(
    "result",
    [
        ToolResult(),
        ToolResult((Text("ü\ud800", Annotations(("user",), 0.5, "2026-01-01")),)),
        ToolResult((Image(b"\0\xff", "image/png"), Audio(b"", "audio/wav"))),
        ToolResult(
            (EmbeddedResource(TextContents("a:b", "text")), EmbeddedResource(BlobContents("a:b", b"\1", "x/y")))
        ),
        ToolResult((ResourceLink("a:b", "name", size=3),), {"kind": "Text", "members": {"text": [1, None, 2.5]}}),
        ToolResult((Text("x", meta={"a.b/c": [{"kind": "Text"}]}),), meta={"a.b/d": {"members": 1}}),
        ToolResult((), None),
        ToolResult((), [True, {"bytes": "x"}]),
    ],
)
def test_an_encoded_result_is_decoded_as_it_was(result: ToolResult) -> None:
    encoded = encode(result)
    assert encoded is not None
    assert decode(encoded) == result


def test_what_cannot_be_encoded_or_decoded_is_none() -> None:
    assert encode(ToolResult((), {"a": object()})) is None
    for hostile in (
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"content":[{"kind":"System","members":{}}],"structured":[],"meta":{}}',
        b"\xff",
    ):
        assert decode(hostile) is None
    assert decode(b'{"content":[{"kind":"Text","members":{"no":1}}],"structured":[],"meta":{}}') is None
