"""The built-in tools, resources and prompts over the real adapters: real files, a real shell, the real SDK."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.application.bus import Bus
from app.application.commands import AnnounceUpdate, SendMessage
from app.application.context import Caller, RequestContext
from app.application.handlers.conversations import ConversationHandler
from app.application.ports import Services
from app.application.queries import GetHealth, Health
from app.builtin import MODULES
from app.domain.content import BlobContents, Text, TextContents
from app.domain.errors import FileMissing, InvalidParams, OperationFailed
from app.domain.prompt import Prompt
from app.domain.resource import Resource, ResourceTemplate
from app.domain.tool import Tool, ToolResult
from app.infrastructure.claude import Claude
from app.infrastructure.commands import ShellCommands
from app.infrastructure.files import RootedFiles
from app.infrastructure.queue.memory import MemoryEventBus
from app.plugins.loader import collect
from tests.support.messages_api import MessagesApi, messages_api

KEY = "test-key"
HEALTH = Health("ok", 7, sessions=1, tools=8, resources=2, prompts=3, calls=5, failed_calls=1)
DEFINITIONS = {definition.key: definition for definition in collect(MODULES)}
TOOLS = {
    "echo": (True, False),
    "read_file": (True, False),
    "write_file": (False, True),
    "list_directory": (True, False),
    "search_files": (True, False),
    "execute_command": (False, True),
    "system_info": (True, False),
    "claude_conversation": (False, False),
}
"""Name -> whether it only reads, whether it may destroy."""

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Server:
    """The built-ins and what stands behind them; `updated` are the URIs that were announced as changed."""

    root: Path
    api: MessagesApi
    request: RequestContext
    updated: list[str] = field(default_factory=list)

    async def call(self, name: str, **arguments: Any) -> ToolResult:
        """Call a tool; what it reports as its own failure becomes a failed result, as in the server."""
        tool = DEFINITIONS[name]
        assert isinstance(tool, Tool)
        try:
            return await tool.run(arguments, self.request)
        except OperationFailed as failure:
            return ToolResult.error(failure.message)

    async def read(self, uri: str) -> TextContents | BlobContents:
        """Read a resource that has one part."""
        resource = DEFINITIONS.get(uri, DEFINITIONS["file:///{path}"])
        variables: Mapping[str, str] | None = {}
        if isinstance(resource, ResourceTemplate):
            variables = resource.match(uri)
        assert isinstance(resource, Resource | ResourceTemplate)
        assert variables is not None
        (contents,) = await resource.read(uri, variables, self.request)
        return contents


class Silence:
    """A channel to a client that wants to hear nothing."""

    cancelled = False

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a built-in used the channel: {name}")


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with messages_api(KEY) as server:
        yield server


@pytest.fixture
async def server(api: MessagesApi, tmp_path: Path) -> AsyncIterator[Server]:
    files = RootedFiles([tmp_path], max_read_bytes=1000, max_write_bytes=1000, max_entries=5)
    runner = ShellCommands(files.open_directory, timeout_seconds=5, max_timeout_seconds=5, max_output_bytes=100)
    claude = Claude(
        api_key=KEY, base_url=api.url, model="claude-sonnet-5-5", max_tokens=9, timeout_seconds=5, max_retries=0
    )
    bus = Bus()
    services = Services(files, runner, lambda: {"files": {"roots": [str(tmp_path)]}, "claude": {"api_key": "set"}})
    server = Server(tmp_path, api, RequestContext(Caller("test", "all"), Silence(), bus, services))

    async def announce(command: AnnounceUpdate) -> None:
        server.updated.append(command.uri)

    async def health(query: GetHealth) -> Health:
        return HEALTH

    bus.register(AnnounceUpdate, announce)
    bus.register(GetHealth, health)
    bus.register(SendMessage, ConversationHandler(claude, MemoryEventBus()).send)
    yield server
    await claude.aclose()
    files.close()


def text_of(result: ToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, Text)
    return block.text


class TestDefinitions:
    def test_every_tool_says_what_it_does_to_the_world(self) -> None:
        tools = {key: tool for key, tool in DEFINITIONS.items() if isinstance(tool, Tool)}
        hints = {name: (tool.hints.read_only, tool.hints.destructive) for name, tool in tools.items() if tool.hints}
        assert hints == TOOLS

    def test_everything_is_described_down_to_its_parameters(self) -> None:
        for definition in DEFINITIONS.values():
            assert definition.title
            assert definition.description
            if isinstance(definition, Tool):
                assert all(schema["description"] for schema in definition.input_schema["properties"].values())
            if isinstance(definition, Prompt):
                assert all(argument.description for argument in definition.arguments)

    def test_a_caller_that_may_only_read_gets_neither_commands_nor_writing_nor_the_model(self) -> None:
        anonymous = Caller("anonymous", "read")
        usable = {key for key, tool in DEFINITIONS.items() if isinstance(tool, Tool) and anonymous.may_use(tool)}
        assert usable == {name for name, (reads, _) in TOOLS.items() if reads}


class TestTools:
    async def test_echo_answers_with_the_message(self, server: Server) -> None:
        assert text_of(await server.call("echo", message="hé")) == "hé"

    async def test_a_file_is_written_read_listed_and_found(self, server: Server) -> None:
        written = await server.call("write_file", path="a/b.txt", content="grüße", create_dirs=True)
        assert written.structured == {"path": "a/b.txt", "bytes_written": 7}
        assert text_of(await server.call("read_file", path="a/b.txt")) == "grüße"
        listed = await server.call("list_directory", recursive=True)
        directory = {"path": "a", "is_directory": True, "size": 0}
        entry = {"path": "a/b.txt", "is_directory": False, "size": 7}
        assert listed.structured == {"entries": [directory, entry], "truncated": False}
        found = await server.call("search_files", path=".", pattern="*.txt")
        assert found.structured == {"entries": [entry], "truncated": False}

    async def test_writing_announces_the_resource_under_both_of_its_names(self, server: Server) -> None:
        await server.call("write_file", path="./a b.txt", content="")
        await server.call("write_file", path=str(server.root / "c.txt"), content="")
        root = server.root.as_uri()
        assert server.updated == [f"{root}/a%20b.txt", "file:///a%20b.txt", f"{root}/c.txt"]

    async def test_a_write_that_fails_announces_nothing(self, server: Server) -> None:
        assert (await server.call("write_file", path="../x", content="")).is_error
        assert server.updated == []

    async def test_text_is_read_in_the_encoding_that_is_named(self, server: Server) -> None:
        (server.root / "latin").write_bytes("grüße".encode("latin-1"))
        assert text_of(await server.call("read_file", path="latin", encoding="latin-1")) == "grüße"

    @pytest.mark.parametrize(
        ("data", "encoding", "expected"),
        [
            (b"gr\xfc\xdfe", "utf-8", "file: this is not utf-8 text; if it is text in another encoding, name it"),
            (b"\x89PNG\0\0", "utf-8", "file: this is a binary file"),
            (b"x", "klingon", "klingon: no such text encoding; try utf-8"),
            (b"x", "rot13", "rot13: no such text encoding"),
            (b"x", "zlib", "zlib: no such text encoding"),
            (b"+2AA-", "utf_7", "utf_7: no such text encoding"),
            (b"x", "unicode_escape", "unicode_escape: no such text encoding"),
            (b"x", "un\0known", "no such text encoding"),
        ],
    )
    async def test_what_cannot_be_read_as_text_says_what_to_change(
        self, server: Server, data: bytes, encoding: str, expected: str
    ) -> None:
        (server.root / "file").write_bytes(data)
        result = await server.call("read_file", path="file", encoding=encoding)
        assert result.is_error
        assert expected in text_of(result)

    async def test_a_command_that_succeeds_is_told_with_its_outcome(self, server: Server) -> None:
        (server.root / "inner").mkdir()
        result = await server.call("execute_command", command="pwd -P; echo e >&2", working_dir="inner", timeout=2)
        assert not result.is_error
        assert json.loads(text_of(result)) == result.structured
        assert result.structured["stdout"] == f"{server.root}/inner\n"
        assert (result.structured["stderr"], result.structured["exit_code"]) == ("e\n", 0)

    @pytest.mark.parametrize(
        ("command", "timeout", "expected"),
        [
            ("echo no; exit 4", 2, {"exit_code": 4, "signal": None, "timed_out": False, "stdout": "no\n"}),
            ("kill -9 $$", 2, {"exit_code": None, "signal": "SIGKILL", "timed_out": False}),
            ("sleep 9", 0.1, {"exit_code": None, "signal": None, "timed_out": True}),
        ],
    )
    async def test_a_command_that_fails_is_a_failed_call_with_its_outcome(
        self, server: Server, command: str, timeout: float, expected: dict[str, Any]
    ) -> None:
        result = await server.call("execute_command", command=command, timeout=timeout)
        assert result.is_error
        assert expected.items() <= result.structured.items()

    async def test_the_system_is_described_without_names_of_users_or_hosts(self, server: Server) -> None:
        result = await server.call("system_info")
        info = result.structured
        assert info["uptime_seconds"] == HEALTH.uptime_seconds
        assert 0 < info["memory"]["available_bytes"] <= info["memory"]["total_bytes"]
        assert 0 < info["disk"]["available_bytes"] <= info["disk"]["total_bytes"]
        assert info["resident_bytes"] > 0
        assert not {"user", "hostname", "node", "environment"} & set(info)

    async def test_a_conversation_gives_the_reply_and_its_cost(self, server: Server) -> None:
        server.api.answer("Fine, thanks")
        result = await server.call("claude_conversation", message="How are you?", system_prompt="Be brief")
        assert result.structured == {
            "text": "Fine, thanks",
            "model": "claude-sonnet-5-5",
            "stop_reason": "end_turn",
            "input_tokens": 3,
            "output_tokens": 2,
        }
        assert server.api.requests[0].body["system"] == "Be brief"

    @pytest.mark.parametrize(
        ("name", "arguments", "named"),
        [
            ("claude_conversation", {"message": " \n"}, "message"),
            ("claude_conversation", {"message": "x", "temperature": 2}, "temperature"),
            ("claude_conversation", {"message": "x", "max_tokens": 0}, "max_tokens"),
            ("execute_command", {"command": "true", "timeout": 0}, "timeout"),
            ("execute_command", {"command": ""}, "command"),
            ("read_file", {}, "path"),
            ("read_file", {"path": "x", "offset": 1}, "offset"),
            ("list_directory", {"recursive": "yes"}, "recursive"),
        ],
    )
    async def test_a_bad_argument_is_named(
        self, server: Server, name: str, arguments: dict[str, Any], named: str
    ) -> None:
        result = await server.call(name, **arguments)
        assert result.is_error
        assert named in text_of(result)
        assert server.api.requests == []


class TestResources:
    async def test_the_configuration_and_the_health_are_json(self, server: Server) -> None:
        configuration, health = await server.read("config://server"), await server.read("status://health")
        assert isinstance(configuration, TextContents)
        assert isinstance(health, TextContents)
        assert json.loads(configuration.text)["claude"] == {"api_key": "set"}
        assert json.loads(health.text)["tools"] == HEALTH.tools
        assert configuration.mime_type == health.mime_type == "application/json"

    async def test_a_file_is_read_by_its_absolute_and_by_its_relative_uri(self, server: Server) -> None:
        (server.root / "a b.md").write_text("# Hi")
        for uri in (f"{server.root.as_uri()}/a%20b.md", "file:///a%20b.md"):
            assert await server.read(uri) == TextContents(uri, "# Hi", "text/markdown")

    @pytest.mark.parametrize(
        ("name", "data", "mime_type"),
        [
            ("a.json", b"{}", "application/json"),
            ("a.ts", b"let a", "text/plain"),
            ("a", b"text", "text/plain"),
            ("a.png", b"\x89PNG", "image/png"),
            ("a.txt", b"\0", "application/octet-stream"),
            ("a", b"\xff", "application/octet-stream"),
        ],
    )
    async def test_a_file_has_the_type_of_its_name_as_far_as_its_contents_agree(
        self, server: Server, name: str, data: bytes, mime_type: str
    ) -> None:
        (server.root / name).write_bytes(data)
        contents = await server.read(f"file:///{name}")
        assert contents.mime_type == mime_type
        assert (contents.data if isinstance(contents, BlobContents) else contents.text.encode()) == data

    @pytest.mark.parametrize("path", ["%2e%2e/x", "..%2fx", "etc/passwd", "%2Fetc/passwd", "a%00b", "none"])
    async def test_no_uri_leads_out_of_the_roots(self, server: Server, path: str) -> None:
        (server.root.parent / "x").write_text("secret")
        with pytest.raises((OperationFailed, FileMissing)):
            await server.read(f"file:///{path}")


class TestPrompts:
    async def render(self, server: Server, name: str, **arguments: str) -> str:
        prompt = DEFINITIONS[name]
        assert isinstance(prompt, Prompt)
        (message,) = (await prompt.render(arguments, server.request)).messages
        assert message.role == "user"
        assert isinstance(message.content, Text)
        return message.content.text

    async def test_code_and_language_stand_in_the_prompt(self, server: Server) -> None:
        for name, more in {"code_review": {}, "explain_code": {}, "debug_help": {"error": "E42"}}.items():
            text = await self.render(server, name, code="x = 1", language="Python", **more)
            assert "Python code" in text
            assert "```python\nx = 1\n```" in text
            assert more.get("error", "") in text

    async def test_only_the_code_must_be_given(self, server: Server) -> None:
        assert "this code." in await self.render(server, "code_review", code="x")

    async def test_the_detail_level_changes_the_question(self, server: Server) -> None:
        levels = [
            await self.render(server, "explain_code", code="x", detail_level=level) for level in ("brief", "detailed")
        ]
        assert len(set(levels)) == len(levels)
        with pytest.raises(InvalidParams, match="detail_level"):
            await self.render(server, "explain_code", code="x", detail_level="epic")

    async def test_code_cannot_close_its_own_fence(self, server: Server) -> None:
        text = await self.render(server, "code_review", code="a\n````\nb")
        assert text.endswith("`````\na\n````\nb\n`````")

    @pytest.mark.parametrize(
        ("prompt", "argument", "typed", "expected"),
        [
            ("code_review", "language", "py", ["Python"]),
            ("explain_code", "language", "JAVA", ["Java", "JavaScript"]),
            ("debug_help", "language", "c+", ["C++"]),
            ("explain_code", "detail_level", "", ["brief", "standard", "detailed"]),
            ("explain_code", "detail_level", "D", ["detailed"]),
            ("code_review", "language", "klingon", []),
        ],
    )
    async def test_arguments_are_completed_by_their_beginning(
        self, prompt: str, argument: str, typed: str, expected: list[str]
    ) -> None:
        definition = DEFINITIONS[prompt]
        assert isinstance(definition, Prompt)
        assert list(await definition.completers[argument](typed, {})) == expected
