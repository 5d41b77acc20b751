"""Names and prose of the sources: modules are nouns, a class name means one thing, and text is plain English."""

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests.architecture.sources import PROJECT, modules, name_of, project_files, tree_of

GERUNDS = {"housekeeping", "listing", "logging", "rendering", "testing", "tracing"}
"""Modules named for what the field calls by a gerund."""
BANNED = re.compile(
    r"\bwhat there is\b|'s affair\b|\bwho calls\b|\bin the place of\b|\bso many\b|\banew\b|\bcomes? in\b|\bof use\b|"
    r"\bit is that which\b|\btold of\b|\bis told\b",
    re.IGNORECASE,
)
PROSE = {".md", ".py", ".yaml", ".toml", ".sh", ".js", ".html", ".css"}
LONGEST_FUNCTION = 40
LONG_FUNCTIONS = {
    "app/tfo_mcp/builtin/commands.py: execute_command": "its signature is the schema of the tool",
    "app/tfo_mcp/builtin/search.py: search_files": "the same",
    "app/tfo_mcp/infrastructure/sandbox/reader_process.py: start_reader": "documented argument by argument",
    "transports/tfo_mcp_transports/asgi.py: create_app": "the table of all endpoints and of what surrounds them",
    "app/tfo_mcp/plugins/decorators.py: tool": "a public signature, documented argument by argument",
    "app/tfo_mcp/plugins/decorators.py: resource": "the same",
    "app/tfo_mcp/plugins/decorators.py: prompt": "the same",
}


def functions() -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return all functions of the two packages by module and name."""
    return {
        f"{name_of(path)}: {node.name}": node
        for path in modules()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_modules_are_named_by_nouns() -> None:
    assert [name_of(path) for path in modules() if path.stem.endswith("ing") and path.stem not in GERUNDS] == []


def test_a_public_class_shares_its_name_with_no_other() -> None:
    places = defaultdict(list)
    for path in modules():
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name_of(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_function_can_be_seen_at_once() -> None:
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions().items()}
    long = {name for name, lines in lengths.items() if lines > LONGEST_FUNCTION}
    assert long == LONG_FUNCTIONS.keys()


def test_text_is_free_of_phrases_that_hide_their_subject() -> None:
    own = Path(__file__).resolve()
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in project_files()
        if path.suffix in PROSE and path != own
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if BANNED.search(line)
    ]
    assert found == []


def test_every_document_is_linked_from_another() -> None:
    documents = [path for path in project_files() if path.suffix == ".md" and path.parent.name == "docs"]
    texts = {path: path.read_text(encoding="utf-8") for path in project_files() if path.suffix in PROSE}
    unlinked = [
        name_of(path)
        for path in documents
        if not any(path.name in text for other, text in texts.items() if other != path)
    ]
    assert unlinked == [], f"documents that nothing in {PROJECT.name} leads to"
