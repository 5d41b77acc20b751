"""Errors about arguments name the argument, what was expected, and what came: for built-ins, plugins and prompts."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.conversations import Conversation
from tests.support.envelopes import LATEST_HANDSHAKE, JsonObject
from tests.support.services import Services, services

SETTINGS: dict[str, Any] = {
    "mcp": {"plugins": ["tests.support.plugins.demands"]},
    "security": {"anonymous": "all"},
}
LONG = "x" * 200_000


@pytest.fixture(scope="module")
def servers() -> Iterator[Services]:
    with services(SETTINGS) as running:
        yield running


@pytest.fixture(params=["stdio", "http"])
def conversation(request: pytest.FixtureRequest, servers: Services) -> Conversation:
    return servers.shared(request.param, LATEST_HANDSHAKE)


def refusal(conversation: Conversation, name: str, arguments: JsonObject) -> str:
    """Return the text of a tool's refusal of its arguments."""
    result = conversation.tool(name, arguments)
    assert result["isError"] is True
    text: str = result["content"][0]["text"]
    assert text.startswith(f"Invalid arguments for {name}: ")
    return text.partition(": ")[2]


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("read_file", {"path": "f", "limit": "2"}, 'limit: expected an integer, got the string "2"'),
        ("read_file", {"path": "f", "tail": 0}, "tail: expected at least 1, got 0"),
        ("read_file", {"path": "f", "head": 1.5}, "head: expected an integer, got the number 1.5"),
        ("read_file", {"path": ""}, 'path: expected a string of at least 1 character, got the string ""'),
        ("read_file", {"path": ["f"]}, 'path: expected a string, got the array ["f"]'),
        ("read_file", {}, "path: required, but missing; expected a string"),
        ("write_file", {"path": "f", "content": "", "mode": "apend"},
         'mode: expected one of "overwrite", "append", "create", got the string "apend"'),
        ("edit_file", {"path": "f", "edits": {"old_text": "a"}},
         'edits: expected an array of objects, got the object {"old_text": "a"}'),
        ("edit_file", {"path": "f", "edits": []}, "edits: expected an array of at least 1 item, got the array []"),
        ("edit_file", {"path": "f", "edits": ["a"]}, 'edits[0]: expected an object, got the string "a"'),
        ("edit_file", {"path": "f", "edits": [{"old_text": None, "new_text": ""}]},
         "edits[0].old_text: expected a string, got null"),
        ("search_files", {"exclude": "x"}, 'exclude: expected an array of strings, got the string "x"'),
        ("search_files", {"pattern": "*", "exclude": [1]}, "exclude[0]: expected a string, got the integer 1"),
        ("list_directory", {"depth": 65}, "depth: expected at most 64, got 65"),
        ("demand", {"number": True}, "number: expected an integer, got the boolean true"),
        ("demand", {"number": None}, "number: expected an integer, got null"),
        ("demand", {"ratio": 1}, "ratio: expected less than 1, got 1"),
        ("demand", {"ratio": 0}, "ratio: expected more than 0, got 0"),
        ("demand", {"step": 3}, "step: expected a multiple of 5, got 3"),
        ("demand", {"numbers": 1}, "numbers: expected an array of integers, got the integer 1"),
        ("demand", {"numbers": [1, "2"]}, 'numbers[1]: expected an integer, got the string "2"'),
        ("demand", {"numbers": [1, 2, 3, 4]}, "numbers: expected an array of at most 3 items, got the array [1, 2,"),
        ("demand", {"code": "a b"}, 'code: expected a string that matches the pattern ^[A-Z]+$, got the string "a b"'),
        ("demand", {"short": "abcde"}, 'short: expected a string of at most 4 characters, got the string "abcde"'),
        ("demand", {"table": {"a b": "1"}}, 'table["a b"]: expected an integer, got the string "1"'),
        ("demand", {"choice": "z"}, 'choice: expected one of "x", "y", got the string "z"'),
        ("demand", {"choice": 1}, 'choice: expected one of "x", "y", got the integer 1'),
        ("demand", {"mixed": 1.5}, "mixed: expected an integer or an array of strings, got the number 1.5"),
        ("demand", {"mixed": [1]}, "mixed[0]: expected a string, got the integer 1"),
        ("demand", {"pair": {"y": 1}}, "pair.x: required, but missing; expected an integer"),
        ("demand", {"pair": 5}, "pair: expected an object, got the integer 5"),
        ("demand", {"pairs": [{"x": 1}, {"x": "1"}]}, 'pairs[1].x: expected an integer, got the string "1"'),
        ("demand", {"payment": {"kind": "card"}}, "payment.number: required, but missing; expected a string"),
        ("demand", {"payment": {"kind": "pin"}}, 'payment.kind: expected one of "card", "cash", got the string "pin"'),
        ("demand", {"payment": {}}, 'payment.kind: required, but missing; expected one of "card", "cash"'),
        ("demand", {"payment": {"kind": 5}}, 'payment.kind: expected one of "card", "cash", got the integer 5'),
        ("demand", {"payment": {"kind": None, "number": "1"}},
         'payment.kind: expected one of "card", "cash", got null'),
        ("demand", {"payment": {"kind": ["card"]}}, 'payment.kind: expected one of "card", "cash", got the array'),
        ("demand", {"payment": "cash"}, 'payment: expected an object, got the string "cash"'),
        ("demand", {"names": ["a", "a"]}, 'names: expected an array of different items, got the array ["a", "a"]'),
        ("demand", {"numbr": 1}, "numbr: unknown argument; did you mean number? (known: number, ratio, "),
        ("convert", {"day": "2030-02-31"}, 'day: expected a date, such as 2030-01-31, got the string "2030-02-31"'),
        ("convert", {"key": "k"}, 'key: expected a UUID, got the string "k"'),
        ("convert", {"even": 3}, "even: must be even, got the integer 3"),
        ("convert", {"sum": "much"}, 'decimal, got the string "much"'),
        ("written", {"size": 1, "when": "x"}, 'when: expected a date, such as 2030-01-31, got the string "x"'),
        ("written", {"size": "huge"}, 'size: expected an integer or one of "small", "large", got the string "huge"'),
        ("written", {"size": 1, "none": 1}, "none: must not be given"),
        ("written", {"sise": 1}, "size: required, but missing; expected an integer or one of"),
    ],
)  # fmt: skip
def test_the_refusal_names_the_argument_what_was_expected_and_what_came(
    conversation: Conversation, name: str, arguments: JsonObject, problem: str
) -> None:
    """R78."""
    assert problem in refusal(conversation, name, arguments)


def test_several_problems_are_named_at_once(conversation: Conversation) -> None:
    """R78."""
    text = refusal(conversation, "read_file", {"limit": "2", "head": 0, "ofset": 1})
    assert text.split("; ") == [
        'limit: expected an integer, got the string "2"',
        "head: expected at least 1, got 0",
        "ofset: unknown argument",
        "did you mean offset? (known: path, offset, limit, column, head, tail, encoding)",
        "path: required, but missing",
        "expected a string",
    ]


def test_problems_of_the_schema_and_of_the_conversion_are_named_at_once(conversation: Conversation) -> None:
    """R78."""
    text = refusal(conversation, "convert", {"day": "soon", "key": "k", "even": "3", "sum": "much", "more": 1})
    for name in ("day", "key", "even", "sum", "more"):
        assert text.count(f"{name}: ") == 1
    text = refusal(conversation, "demand", {"number": "1", "pairs": [{"x": "1"}], "names": ["a", 1]})
    assert text == (
        'number: expected an integer, got the string "1"; pairs[0].x: expected an integer, got the string "1"; '
        "names[1]: expected a string, got the integer 1"
    )


def test_several_problems_are_named_beside_a_large_value(conversation: Conversation) -> None:
    """R78."""
    text = refusal(conversation, "write_file", {"content": LONG, "mode": 1, "create_dirs": "no", "more": 1})
    for name in ("path", "mode", "create_dirs", "more"):
        assert f"{name}: " in text
    assert "content: " not in text
    text = refusal(conversation, "edit_file", {"path": 1, "edits": [{"old_text": LONG, "new": LONG}]})
    assert "path: expected a string, got the integer 1" in text
    assert "edits[0].new" in text
    assert LONG[:1000] not in text


def test_the_first_ten_problems_are_named_and_values_are_cut(conversation: Conversation) -> None:
    """R78."""
    text = refusal(conversation, "demand", {f"unknown{number}": 1 for number in range(30)})
    assert text.count("unknown argument") == 10
    assert text.endswith("; and 20 more")
    text = refusal(conversation, "demand", {"number": "y" * 5000})
    assert text == f'number: expected an integer, got the string "{"y" * 98}… of 5000 characters'
    text = refusal(conversation, "demand", {"number": [["y" * 5000] * 10] * 9})
    assert len(text) < 200
    text = refusal(conversation, "demand", {"number": "a\nb\u202ec\x00"})
    assert text == r'number: expected an integer, got the string "a\nb\u202ec\u0000"'


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        ({}, ["count: required, but missing; expected an integer"]),
        ({"count": "x"}, ['count: expected an integer, got the string "x"']),
        ({"count": "0"}, ['count: expected at least 1, got "0"']),
        ({"cuont": "1"}, ["count: required", "cuont: unknown argument; did you mean count?"]),
        ({"count": "1", "day": "soon"}, ['day: expected a date, such as 2030-01-31, got the string "soon"']),
        ({"count": "1", "tone": "rude"}, ['tone: expected one of "formal", "friendly", got the string "rude"']),
        ({"count": "1", "note": "abcdef"}, ["note: expected a string of at most 5 characters, got the string"]),
        ({"day": "x", "tone": "y"}, ["count: required", "day: expected", "tone: expected"]),
        ({"count": 1}, ["arguments.count: expected a string, got the integer 1"]),
        ({"count": "1", "day": ["x"]}, ['arguments.day: expected a string, got the array ["x"]']),
        (["1"], ['arguments: expected an object, got the array ["1"]']),
    ],
)  # fmt: skip
def test_the_refusal_of_a_prompt_does_so_too(conversation: Conversation, arguments: Any, problems: list[str]) -> None:
    """R86."""
    error = conversation.error("prompts/get", {"name": "order", "arguments": arguments})
    assert error["code"] == -32602
    for problem in problems:
        assert problem in error["message"]
