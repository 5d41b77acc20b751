"""`tfo-mcp call`: in the process, as its owner; and with --url, as a caller without credentials."""

import base64
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import DIALOGUE_CONFIG
from tests.e2e.one_run import Outcome, run, run_on_terminal, run_together
from tests.support.deadlines import wait_until
from tests.support.messages_api import messages_api
from tests.support.processes import PROJECT, HttpServer, child, free_port, http_server

KEY = "sk-ant-command-line-0123456789"
EXAMPLES = PROJECT / "docs" / "examples"
HELLO = '{"message": "hello"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    with http_server(directory=tmp_path_factory.mktemp("served")) as running:
        yield running


def test_results_are_printed_and_the_owner_may_use_every_tool(tmp_path: Path) -> None:
    written = {"path": "made.txt", "bytes_written": 4, "size": 4}
    text, structured, failed = run_together(
        [
            ["call", "echo", '{"message": "¿qué? 🙂"}'],
            ["call", "write_file", '{"path": "made.txt", "content": "made"}'],
            ["call", "read_file", '{"path": "none.txt"}'],
        ],
        directory=tmp_path,
    )
    assert text.result == "¿qué? 🙂\n"
    assert json.loads(structured.result) == written
    assert (tmp_path / "made.txt").read_text(encoding="utf-8") == "made"
    assert (failed.code, "none.txt" in failed.stdout) == (1, True)


def test_what_cannot_be_called_is_said_in_one_line(tmp_path: Path) -> None:
    wrong = [("echo", "{", "JSON"), ("echo", "[]", "object"), ("echo", '"x"', "object"), ("nowhere", "{}", "nowhere")]
    variables = {"TELEMETRYFLOW_MCP_LOGGING_LEVEL": "error"}
    lines = [["call", tool, arguments] for tool, arguments, _ in wrong]
    outcomes = run_together(lines, directory=tmp_path, variables=variables)
    for (_, _, said), outcome in zip(wrong, outcomes, strict=True):
        assert outcome.code in {1, 2}
        is_one_line(outcome, said)


def test_a_tool_that_asks_for_input_cannot_be_called(tmp_path: Path) -> None:
    outcome = run("call", "greet", "--config", DIALOGUE_CONFIG, directory=tmp_path)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert "elicitation" in outcome.stderr


def test_the_usual_variable_for_the_api_key_is_honoured(tmp_path: Path) -> None:
    with messages_api(KEY) as api:
        variables = {"ANTHROPIC_API_KEY": KEY, "TELEMETRYFLOW_MCP_CLAUDE_BASE_URL": api.url}
        outcome = run("call", "claude_conversation", HELLO, directory=tmp_path, variables=variables)
    assert json.loads(outcome.result)["text"] == "You said: hello"
    assert KEY not in outcome.stderr


def test_a_running_server_is_called_as_a_caller_without_credentials(tmp_path: Path, server: HttpServer) -> None:
    said, wrong, refused = run_together(
        [
            ["call", "echo", HELLO, "--url", server.url],
            ["call", "echo", '{"massage": "x"}', "--url", server.url],
            ["call", "execute_command", '{"command": "true"}', "--url", server.url],
        ],
        directory=tmp_path,
    )
    assert said.result == "hello\n"
    assert (wrong.code, "message" in wrong.stdout) == (1, True)
    assert refused.code == 1
    is_one_line(refused, "execute_command")


def test_an_address_where_no_server_answers_is_said_in_one_line(tmp_path: Path, server: HttpServer) -> None:
    urls = [f"http://127.0.0.1:{free_port()}/mcp", f"{server.origin}/healthz", "no-url"]
    outcomes = run_together([["call", "echo", HELLO, "--url", url] for url in urls], directory=tmp_path)
    for url, outcome in zip(urls, outcomes, strict=True):
        assert outcome.code == 1
        is_one_line(outcome, url)


def test_arguments_can_be_words_whose_types_come_from_the_schema(tmp_path: Path, server: HttpServer) -> None:
    (tmp_path / "poem.txt").write_text("one\ntwo\nthree\n")
    line, number, remote, wrong = run_together(
        [
            ["call", "read_file", "path=poem.txt", "offset=2", "limit=1"],
            ["call", "echo", "message=12"],
            ["call", "echo", "message=a=b c", "--url", server.url],
            ["call", "echo", "message=x", "rest"],
        ],
        directory=tmp_path,
    )
    assert "two" in line.result
    assert "three" not in line.result.partition("\n")[0]
    assert (number.result, remote.result) == ("12\n", "a=b c\n")
    is_one_line(wrong, "'rest'")


def test_resources_and_prompts_are_used_here_and_on_a_server_and_printed_as_json(
    tmp_path: Path, server: HttpServer
) -> None:
    for place in ([], ["--url", server.url]):
        called, read, prompt, listed, missing = run_together(
            [
                ["call", "echo", "message=hello", "--json", *place],
                ["read", "status://health", *place],
                ["prompt", "code_review", "code=x = 1", "--json", *place],
                ["list", "tools", "--json", *place],
                ["read", "status://none", *place],
            ],
            directory=tmp_path,
        )
        assert json.loads(called.result)["content"] == [{"type": "text", "text": "hello"}]
        assert json.loads(read.result)["status"]
        assert "x = 1" in json.loads(prompt.result)["messages"][0]["content"]["text"]
        assert "echo" in {each["name"] for each in json.loads(listed.result)}
        is_one_line(missing, "status://none")


def test_images_are_saved_to_new_files(tmp_path: Path) -> None:
    image = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAAC")
    (tmp_path / "dot.gif").write_bytes(image)
    first, second = (run("call", "read_file", "path=dot.gif", directory=tmp_path) for _ in range(2))
    assert ("read_file-1.gif" in first.result, "read_file-2.gif" in second.result) == (True, True)
    assert (tmp_path / "read_file-1.gif").read_bytes() == image
    assert "R0lGOD" not in first.stdout


def test_a_form_is_answered_at_the_prompt(tmp_path: Path) -> None:
    config = tmp_path / "trips.yaml"
    shutil.copy(EXAMPLES / "trips.py", tmp_path)
    config.write_text('{"mcp": {"plugins": ["trips"]}}')
    outcome, shown = run_on_terminal(
        *("call", "plan_trip", "--config", str(config)), directory=tmp_path, typed=b"y\nRome\nmany\n5\nplane\n"
    )
    assert outcome.result == "5 days in Rome by plane\n", shown
    assert "Where would you like to go?" in shown


FORM = {
    "type": "object",
    "properties": {
        "seats": {"type": "integer", "minimum": 5, "maximum": 9},
        "weight": {"type": "number", "exclusiveMinimum": 0},
        "code": {"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[A-Z]+$"},
        "mail": {"type": "string", "format": "email"},
        "day": {"type": "string", "format": "date"},
        "meal": {"type": "string", "oneOf": [{"const": "v", "title": "Vegetarian"}, {"const": "f", "title": "Fish"}]},
        "cabin": {"type": "string", "enum": ["e", "b"], "enumNames": ["Economy", "Business"]},
        "extras": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {"anyOf": [{"const": "bag", "title": "A bag"}, {"const": "seat", "title": "More room"}]},
        },
        "days": {"type": "array", "items": {"type": "string", "enum": ["mon", "tue"]}, "default": ["mon", "tue"]},
        "note": {"type": "string"},
    },
    "required": ["seats", "weight", "code", "mail", "day", "meal", "cabin", "extras"],
}
PLUGIN = f"""
import json
from tfo_mcp.plugins import Context, Elicit, ToolHints, tool

@tool(hints=ToolHints(read_only=True))
async def book(ctx: Context) -> str:
    "Book."
    answer = await ctx.ask(Elicit("Which flight?", {FORM!r}))
    return json.dumps(answer.content)
"""


def test_an_answer_beyond_the_limits_of_a_field_is_asked_again_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "flights.py").write_text(PLUGIN)
    (tmp_path / "tfo-mcp.yaml").write_text("mcp: {plugins: [flights]}")
    typed = [
        *("y", "2", "10", "many", "6", "0", "nan", "1.5", "A", "ABCD", "ab", "AB", "me", "me@example.org", "soon"),
        *("2026-11-29", "meat", "vegetarian", "first", "b", "boat", "bag, bag, bag", "A bag, seat", "", ""),
    ]
    keys = "".join(f"{line}\n" for line in typed).encode()
    outcome, shown = run_on_terminal("call", "book", directory=tmp_path, typed=keys)
    lists = {"extras": ["bag", "seat"], "days": ["mon", "tue"]}
    texts = {"code": "AB", "mail": "me@example.org", "day": "2026-11-29", "meal": "v", "cabin": "b"}
    assert json.loads(outcome.result) == {"seats": 6, "weight": 1.5, **texts, **lists}, shown
    for reason in ("seats: ", "at least 5", "at most 9", "a whole number", "more than 0", "at least 2", "at most 3"):
        assert reason in shown
    for reason in ("mail: ", "day: ", "meal: 'meat' is not one of v, f", "extras: 'boat' is not", "at most 2 items"):
        assert reason in shown
    for title in ("v: Vegetarian", "b: Business", "seat: More room"):
        assert title in shown


def is_one_line(outcome: Outcome, said: str) -> None:
    assert outcome.stdout == ""
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("tfo-mcp: ")
    assert said in line


@pytest.mark.parametrize("tool", ["wait_here", "get_stuck"])
def test_an_interrupt_ends_a_call_that_runs(tmp_path: Path, tool: str) -> None:
    line = ["call", tool, json.dumps({"folder": str(tmp_path)}), "--config", str(DIALOGUE_CONFIG)]
    with child(line, directory=tmp_path) as running:
        wait_until((tmp_path / "started").exists, "the tool has started")
        running.process.send_signal(signal.SIGINT)
        try:
            assert running.wait(2.0) == 128 + signal.SIGINT
            assert "Traceback" not in running.stderr()
        finally:
            running.process.kill()
