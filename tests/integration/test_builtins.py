"""The built-in tools, resources and prompts with real adapters: the catalog, and those that need no files."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.builtins import DEFINITIONS, HEALTH, Builtins, builtins, text_of
from tests.support.channels import request_by
from tfo_mcp.domain.access import READING, Caller
from tfo_mcp.domain.content import EmbeddedResource, Text, TextContents
from tfo_mcp.domain.errors import InvalidParams, OperationFailed
from tfo_mcp.domain.prompt import Prompt
from tfo_mcp.domain.tool import Tool

TOOLS = {
    "echo": (True, False),
    "read_file": (True, False),
    "list_directory": (True, False),
    "search_files": (True, False),
    "file_info": (True, False),
    "write_file": (False, True),
    "edit_file": (False, True),
    "move_file": (False, True),
    "delete_file": (False, True),
    "execute_command": (False, True),
    "system_info": (True, False),
    "claude_conversation": (False, False),
}
"""Name -> (read-only hint, destructive hint)."""

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Builtins]:
    async with builtins(tmp_path) as served:
        yield served


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
        anonymous = Caller("anonymous", READING)
        tools = {key: tool for key, tool in DEFINITIONS.items() if isinstance(tool, Tool)}
        usable = {key for key, tool in tools.items() if anonymous.may_use(tool.name, tool.scope)}
        assert usable == {name for name, (reads, _) in TOOLS.items() if reads}


class TestTools:
    async def test_echo_answers_with_the_message(self, server: Builtins) -> None:
        assert text_of(await server.call("echo", message="hé")) == "hé"

    async def test_the_system_is_described_without_names_of_users_or_hosts(self, server: Builtins) -> None:
        result = await server.call("system_info")
        info = result.structured
        assert info["process"]["uptime_seconds"] == HEALTH.uptime_seconds
        assert info["process"]["resident_bytes"] > 0
        assert 0 < info["memory"]["available_bytes"] <= info["memory"]["total_bytes"]
        assert 0 < info["processors"]["usable"] <= info["processors"]["logical"]
        (disk,) = info["disks"]
        assert disk["root"] == str(server.root)
        assert 0 < disk["available_bytes"] <= disk["total_bytes"]
        assert set(info["container"]) == {"memory_bytes", "processors", "processes"}
        assert not {"user", "hostname", "node", "environment"} & set(info)

    async def test_a_conversation_gives_the_reply_and_its_cost(self, server: Builtins) -> None:
        server.api.answer("Fine, thanks")
        result = await server.call("claude_conversation", message="How are you?", system_prompt="Be brief")
        usage = {"input_tokens": 3, "output_tokens": 2, "cache_read_tokens": 0, "cache_write_tokens": 0}
        assert result.structured == {
            "conversation_id": result.structured["conversation_id"],
            "text": "Fine, thanks",
            "model": "claude-sonnet-5-5",
            "stop_reason": "end_turn",
            **usage,
            "cost_usd": None,
            "conversation": {**usage, "cost_usd": None},
        }
        assert json.loads(text_of(result)) == result.structured
        assert server.api.requests[0].body["system"][0]["text"] == "Be brief"

    async def test_a_long_reply_is_text_once_and_the_rest_is_in_the_resource(self, server: Builtins) -> None:
        for length in (42_000, 60_000, 90_000):
            server.api.answer("ä" * (length // 2), stop_reason="max_tokens")
            result = await server.call("claude_conversation", message="Long")
            identifier, shown = result.structured["conversation_id"], text_of(result)
            assert len(shown.encode()) <= 40_000
            assert result.structured["text"] is None
            assert shown.endswith(f"[Continue with conversation_id={identifier}. Stopped: max_tokens.]")
            assert (f"[Truncated. The whole reply is in the resource conversation://{identifier}.]" in shown) == (
                length > 40_000
            )

    @pytest.mark.parametrize(
        ("name", "arguments", "named"),
        [
            ("claude_conversation", {"message": " \n"}, "message"),
            ("claude_conversation", {"message": "x", "temperature": 2}, "temperature"),
            ("claude_conversation", {"message": "x", "max_tokens": 0}, "max_tokens"),
            ("execute_command", {"command": "true", "timeout": 0}, "timeout"),
            ("execute_command", {"command": ""}, "command"),
            ("execute_command", {"argv": []}, "argv"),
            ("read_file", {}, "path"),
            ("read_file", {"path": "x", "offset": 0}, "offset"),
            ("write_file", {"path": "x", "content": "", "mode": "truncate"}, "mode"),
            ("write_file", {"path": "x", "content": "", "expected_sha256": "1"}, "expected_sha256"),
            ("edit_file", {"path": "x", "edits": []}, "edits"),
            ("search_files", {"context": 21}, "context"),
            ("list_directory", {"recursive": "yes"}, "recursive"),
        ],
    )
    async def test_a_bad_argument_is_named(
        self, server: Builtins, name: str, arguments: dict[str, Any], named: str
    ) -> None:
        result = await server.call(name, **arguments)
        assert result.is_error
        assert named in text_of(result)
        assert server.api.requests == []


class TestResources:
    async def test_the_configuration_and_the_health_are_json(self, server: Builtins) -> None:
        configuration, health = await server.read("config://server"), await server.read("status://health")
        assert isinstance(configuration, TextContents)
        assert isinstance(health, TextContents)
        assert json.loads(configuration.text)["claude"] == {"api_key": "set"}
        assert json.loads(health.text)["tools"] == HEALTH.tools
        assert configuration.mime_type == health.mime_type == "application/json"


class TestPrompts:
    async def render(self, server: Builtins, name: str, **arguments: str) -> str:
        prompt = DEFINITIONS[name]
        assert isinstance(prompt, Prompt)
        (message,) = (await prompt.render(arguments, server.request)).messages
        assert message.role == "user"
        assert isinstance(message.content, Text)
        return message.content.text

    async def test_code_and_language_stand_in_the_prompt(self, server: Builtins) -> None:
        for name, more in {"code_review": {}, "explain_code": {}, "debug_help": {"error": "E42"}}.items():
            text = await self.render(server, name, code="x = 1", language="Python", **more)
            assert "Python code" in text
            assert "```python\nx = 1\n```" in text
            assert more.get("error", "") in text

    async def test_only_the_code_must_be_given(self, server: Builtins) -> None:
        assert "this code." in await self.render(server, "code_review", code="x")

    @pytest.mark.parametrize(
        ("code", "language"),
        [
            ("def add(a, b):\n    return a + b\n", "Python"),
            ("import os\nprint(os.getcwd())", "Python"),
            ("#!/usr/bin/env python3\nx", "Python"),
            ("#!/bin/sh\necho hi", "Bash"),
            ("const a = () => { return 1 };", "JavaScript"),
            ("export const f = (a: A): number => a.x;\ninterface A { x: number }", "TypeScript"),
            ('package main\n\nimport "fmt"\n\nfunc main() {}', "Go"),
            ("fn main() {\n    let mut x = 5;\n}", "Rust"),
            ("public class A {\n}", "Java"),
            ("#include <stdio.h>\nint main(void) { return 0; }", "C"),
            ("#include <vector>\nstd::vector<int> v;", "C++"),
            ("def add(a)\n  a + 1\nend", "Ruby"),
            ("SELECT id FROM t WHERE x = 1;", "SQL"),
            ('{"a": [1]}', "JSON"),
            ("<!DOCTYPE html><p>", "HTML"),
            ("<?php echo 1;", "PHP"),
            ("FROM python:3\nRUN true\n", "Dockerfile"),
            ("hello world", ""),
            ("[" * 15_000, ""),
            ("import a\n" * 2_000, ""),
        ],
    )
    async def test_a_language_is_recognized_or_left_out(self, server: Builtins, code: str, language: str) -> None:
        text = await self.render(server, "code_review", code=code)
        assert text.startswith(f"Review this {language} code." if language else "Review this code.")

    async def test_a_file_is_embedded_as_a_resource(self, server: Builtins) -> None:
        file = server.root / "main.rs"
        file.write_text("fn main() {}")
        prompt = DEFINITIONS["debug_help"]
        assert isinstance(prompt, Prompt)
        arguments = {"code": file.as_uri(), "error": "E0425"}
        question, embedded = (await prompt.render(arguments, server.request)).messages
        assert isinstance(question.content, Text)
        assert question.content.text.startswith(f"The Rust code in {file.as_uri()} fails.")
        assert isinstance(embedded.content, EmbeddedResource)
        assert embedded.content.resource == TextContents(file.as_uri(), "fn main() {}", "text/plain")

    async def test_a_file_outside_or_without_the_scope_is_refused(self, server: Builtins) -> None:
        prompt = DEFINITIONS["code_review"]
        assert isinstance(prompt, Prompt)
        with pytest.raises(OperationFailed):
            await prompt.render({"code": "file:///etc/passwd"}, server.request)
        server.request.caller = Caller("test", frozenset({"prompts:read"}))
        with pytest.raises(OperationFailed, match="resources:read"):
            await prompt.render({"code": server.root.as_uri()}, server.request)

    async def test_the_detail_level_changes_the_question(self, server: Builtins) -> None:
        levels = [
            await self.render(server, "explain_code", code="x", detail_level=level) for level in ("brief", "detailed")
        ]
        assert len(set(levels)) == len(levels)
        with pytest.raises(InvalidParams, match="detail_level"):
            await self.render(server, "explain_code", code="x", detail_level="epic")

    async def test_code_cannot_close_its_own_fence(self, server: Builtins) -> None:
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
        assert list(await definition.completers[argument](typed, {}, request_by())) == expected
