"""The official Python client uses the built-in tools, resources and prompts, over each transport in each era.

Real files, a real shell, and the Messages API behind the real SDK. Notifications and questions are tested in
`test_official_python_client_dialogue`, access rights in `test_anonymous_access`.
"""

import base64
import json
from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    BlobResourceContents,
    PromptReference,
    ReadResourceResult,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from tests.e2e.deployment import REVISIONS
from tests.e2e.official_client import Connector, structured, text_of
from tests.support.messages_api import MessagesApi

EIGHT_TOOLS = {
    "claude_conversation",
    "echo",
    "execute_command",
    "list_directory",
    "read_file",
    "search_files",
    "system_info",
    "write_file",
}
READ_ONLY = {"echo", "list_directory", "read_file", "search_files", "system_info"}
WITHOUT_STRUCTURE = {"echo", "read_file"}
MODEL = "claude-end-to-end"
PICTURE = b"\x89PNG\r\n\x1a\n\0"

BAD_ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("echo", {}, "message"),
    ("echo", {"message": 7}, "string"),
    ("echo", {"message": "hi", "volume": 11}, "volume"),
    ("read_file", {"path": "there/is/none.txt"}, "none.txt"),
    ("read_file", {"path": "../outside"}, "root"),
    ("read_file", {"path": ".", "encoding": "klingon"}, "klingon"),
    ("write_file", {"path": "no/such/directory/file", "content": "x"}, "create_dirs"),
    ("list_directory", {"path": "nowhere"}, "nowhere"),
    ("search_files", {"path": ".", "pattern": ""}, "pattern"),
    ("execute_command", {"command": "true", "timeout": -1}, "timeout"),
    ("execute_command", {"command": "true", "timeout": 100_000}, "300"),
    ("claude_conversation", {"message": "hi", "temperature": 3}, "temperature"),
]

pytestmark = pytest.mark.anyio


def text_resource(result: ReadResourceResult) -> str:
    (contents,) = result.contents
    assert isinstance(contents, TextResourceContents)
    return contents.text


async def test_the_client_agrees_on_a_revision_and_learns_who_serves(connector: Connector, client: Client) -> None:
    assert client.protocol_version == REVISIONS[connector.era]
    assert client.server_info is not None
    assert client.server_info.name == "tfo-mcp"
    capabilities = client.server_capabilities
    assert capabilities.tools is not None
    assert capabilities.resources is not None
    assert capabilities.prompts is not None
    assert capabilities.completions is not None


async def test_the_eight_tools_are_listed_with_titles_hints_and_schemas(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) >= EIGHT_TOOLS
    for name in EIGHT_TOOLS:
        tool = tools[name]
        assert tool.title
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (name in READ_ONLY)
        assert tool.input_schema["additionalProperties"] is False
        assert (tool.output_schema is None) is (name in WITHOUT_STRUCTURE)


async def test_files_are_written_read_listed_and_found(connector: Connector, client: Client) -> None:
    folder = connector.folder()
    path, text = f"{folder}/notes/día.txt", "línea uno\nlínea dos 🙂\n"
    written = structured(await client.call_tool("write_file", {"path": path, "content": text, "create_dirs": True}))
    assert written == {"path": path, "bytes_written": len(text.encode()), "size": len(text.encode())}
    assert (connector.root / path).read_text(encoding="utf-8") == text

    assert text_of(await client.call_tool("read_file", {"path": path})) == text
    assert text_of(await client.call_tool("read_file", {"path": str(connector.root / path)})) == text
    (connector.root / folder / "old.txt").write_bytes("señal".encode("latin-1"))
    old = await client.call_tool("read_file", {"path": f"{folder}/old.txt", "encoding": "latin-1"})
    assert text_of(old) == "señal"

    flat = structured(await client.call_tool("list_directory", {"path": folder}))
    assert [(entry["path"], entry["type"]) for entry in flat["entries"]] == [
        ("notes", "directory"),
        ("old.txt", "file"),
    ]
    deep = structured(await client.call_tool("list_directory", {"path": folder, "recursive": True}))
    assert "notes/día.txt" in [entry["path"] for entry in deep["entries"]]
    found = structured(await client.call_tool("search_files", {"path": folder, "pattern": "*.txt"}))
    assert [entry["path"] for entry in found["entries"]] == ["notes/día.txt", "old.txt"]
    assert found["truncated"] is False
    lines = structured(await client.call_tool("search_files", {"path": folder, "contents": "^línea d"}))
    assert [(match["path"], match["line"]) for match in lines["matches"]] == [("notes/día.txt", 2)]
    edits = [{"old_text": "dos", "new_text": "tres"}]
    edited = structured(await client.call_tool("edit_file", {"path": path, "edits": edits}))
    assert "+línea tres 🙂\n" in edited["diff"]
    await client.call_tool("move_file", {"source": path, "destination": f"{folder}/moved.txt"})
    assert structured(await client.call_tool("file_info", {"path": f"{folder}/moved.txt"}))["type"] == "file"
    assert structured(await client.call_tool("delete_file", {"path": folder, "recursive": True}))["deleted"] == 4


async def test_commands_run_in_a_real_shell(connector: Connector, client: Client) -> None:
    folder = connector.folder()
    line = "printf 'a\\nb\\n' | wc -l > count; cat count; pwd >&2; cat"
    ran = structured(await client.call_tool("execute_command", {"command": line, "working_dir": folder}))
    assert ran["exit_code"] == 0
    assert ran["stdout"].strip() == "2"
    assert ran["stderr"].strip() == str(connector.root / folder)
    assert (connector.root / folder / "count").exists()

    failed = await client.call_tool("execute_command", {"command": "echo no >&2; exit 3"})
    assert failed.is_error
    assert failed.structured_content is not None
    assert (failed.structured_content["exit_code"], failed.structured_content["stderr"]) == (3, "no\n")

    slow = await client.call_tool("execute_command", {"command": "sleep 60", "timeout": 0.2})
    assert slow.is_error
    assert slow.structured_content is not None
    assert slow.structured_content["timed_out"] is True


async def test_echo_and_system_info_answer(client: Client) -> None:
    assert text_of(await client.call_tool("echo", {"message": "¿qué? 🙂 \u2028"})) == "¿qué? 🙂 \u2028"
    info = structured(await client.call_tool("system_info"))
    assert info["platform"]
    assert info["memory"]["total_bytes"] > info["process"]["resident_bytes"] > 0


async def test_claude_conversation_reaches_the_messages_api(client: Client, claude_api: MessagesApi) -> None:
    claude_api.answer("Paris,", " of course.")
    asked = {
        "message": "What is the capital of France?",
        "model": MODEL,
        "system_prompt": "Be short.",
        "max_tokens": 99,
        "temperature": 0.5,
    }
    reply = structured(await client.call_tool("claude_conversation", asked))
    expected = {
        "text": "Paris, of course.", "model": MODEL, "stop_reason": "end_turn", "input_tokens": 6, "output_tokens": 3,
    }  # fmt: skip
    assert expected.items() <= reply.items()
    sent = claude_api.requests[-1].body
    assert (sent["model"], sent["system"][0]["text"], sent["max_tokens"], sent["temperature"]) == (
        MODEL,
        "Be short.",
        99,
        0.5,
    )

    claude_api.fail(400, "max_tokens: too many")
    refused = await client.call_tool("claude_conversation", {"message": "hi"})
    assert refused.is_error
    assert "max_tokens: too many" in text_of(refused)


async def test_a_bad_argument_is_an_error_result_that_says_what_to_change(client: Client) -> None:
    unhelpful: list[tuple[str, dict[str, Any], str]] = []
    for name, arguments, said in BAD_ARGUMENTS:
        result = await client.call_tool(name, arguments)
        if not result.is_error or said not in text_of(result):
            unhelpful.append((name, arguments, text_of(result)))
    assert unhelpful == []


async def test_a_name_that_nothing_has_is_a_protocol_error(connector: Connector, client: Client) -> None:
    codes = (-32001, -32002, -32003) if connector.era == "handshake" else (-32602, -32602, -32602)
    with pytest.raises(MCPError, match="nowhere") as tool:
        await client.call_tool("nowhere")
    with pytest.raises(MCPError) as resource:
        await client.read_resource("status://nowhere")
    with pytest.raises(MCPError, match="nowhere") as prompt:
        await client.get_prompt("nowhere")
    assert (tool.value.code, resource.value.code, prompt.value.code) == codes
    assert (tool.value.data["name"], resource.value.data["uri"]) == ("nowhere", "status://nowhere")
    assert prompt.value.data["name"] == "nowhere"


async def test_configuration_and_health_are_resources_without_secrets(connector: Connector, client: Client) -> None:
    listed = {resource.uri for resource in (await client.list_resources()).resources}
    assert listed >= {"config://server", "status://health"}
    configuration = text_resource(await client.read_resource("config://server"))
    health = json.loads(text_resource(await client.read_resource("status://health")))
    assert json.loads(configuration)["mcp"]["plugins"] == ["dialogue_plugin"]
    assert connector.deployment.variables["TELEMETRYFLOW_MCP_CLAUDE_API_KEY"] not in configuration
    assert health["uptime_seconds"] >= 0


async def test_files_are_resources_of_a_template(connector: Connector, client: Client) -> None:
    folder = connector.folder()
    (connector.root / folder / "a b.md").write_text("# Título\n", encoding="utf-8")
    (connector.root / folder / "dot.png").write_bytes(PICTURE)
    templates = (await client.list_resource_templates()).resource_templates
    assert "file:///{path}" in [template.uri_template for template in templates]
    listed = [resource.uri for resource in (await client.list_resources()).resources]
    assert connector.root.as_uri() in [str(uri).rstrip("/") for uri in listed]
    completed = await client.complete(
        ResourceTemplateReference(type="ref/resource", uri="file:///{path}"), {"name": "path", "value": f"{folder}/a"}
    )
    assert completed.completion.values == [f"{folder}/a b.md"]

    (contents,) = (await client.read_resource(f"file:///{folder}/a%20b.md")).contents
    assert isinstance(contents, TextResourceContents)
    assert (contents.text, contents.mime_type) == ("# Título\n", "text/markdown")
    absolute = (connector.root / folder / "a b.md").as_uri()
    assert text_resource(await client.read_resource(absolute)) == "# Título\n"

    (picture,) = (await client.read_resource(f"file:///{folder}/dot.png")).contents
    assert isinstance(picture, BlobResourceContents)
    assert (base64.b64decode(picture.blob), picture.mime_type) == (PICTURE, "image/png")

    for uri in (f"file:///{folder}/missing", "file:///../etc/passwd", "file:///etc/passwd"):
        with pytest.raises(MCPError):
            await client.read_resource(uri)


async def test_prompts_are_listed_and_rendered(client: Client) -> None:
    prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
    assert {name: required(prompts[name].arguments) for name in ("code_review", "explain_code", "debug_help")} == {
        "code_review": {"code": True, "language": False},
        "explain_code": {"code": True, "language": False, "detail_level": False},
        "debug_help": {"code": True, "error": True, "language": False},
    }
    review = await rendered(client, "code_review", code="print(1)", language="Python")
    assert "print(1)" in review
    assert "Python" in review
    brief = await rendered(client, "explain_code", code="x", detail_level="brief")
    assert brief != await rendered(client, "explain_code", code="x", detail_level="detailed")
    assert "ZeroDivisionError" in await rendered(client, "debug_help", code="1/0", error="ZeroDivisionError")

    with pytest.raises(MCPError, match="code") as missing:
        await client.get_prompt("code_review", {"language": "Go"})
    assert missing.value.code == -32602
    with pytest.raises(MCPError, match="detail_level"):
        await client.get_prompt("explain_code", {"code": "x", "detail_level": "endless"})


async def test_arguments_of_prompts_are_completed(client: Client) -> None:
    review, explain = PromptReference(name="code_review"), PromptReference(name="explain_code")
    languages = await client.complete(review, {"name": "language", "value": "py"})
    assert languages.completion.values == ["Python"]
    levels = await client.complete(explain, {"name": "detail_level", "value": ""}, {"language": "Python"})
    assert levels.completion.values == ["brief", "standard", "detailed"]
    free = await client.complete(review, {"name": "code", "value": "x"})
    assert free.completion.values == []
    paths = await client.complete(ResourceTemplateReference(uri="file:///{path}"), {"name": "path", "value": "x"})
    assert paths.completion.values == []
    with pytest.raises(MCPError, match="nowhere"):
        await client.complete(PromptReference(name="nowhere"), {"name": "x", "value": ""})


def required(arguments: list[Any] | None) -> dict[str, bool]:
    return {argument.name: bool(argument.required) for argument in arguments or []}


async def rendered(client: Client, name: str, **arguments: str) -> str:
    (message,) = (await client.get_prompt(name, arguments)).messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text
