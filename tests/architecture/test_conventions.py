"""Conventions of the sources: docstrings, names, sizes and forbidden texts."""

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import PROJECT, code_tokens, modules, name_of, project_files, tree_of
from tfo_mcp.presentation.protocol.revisions import REVISIONS

REVISIONS_MODULE = PROJECT / "app" / "tfo_mcp" / "presentation" / "protocol" / "revisions.py"
MOST_LINES = 400
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:home|Users|root|work|workspace|builds)/\w")
TEMPORARY_PATH = re.compile(r"(?<![\w.~/-])/(?:tmp|var/tmp)/\w")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|registry\.yarnpkg|proxy\.golang|artifactory|nexus\.|"
    r"--(?:extra-)?index-url|--registry\b|^\s*registry\s*=",
    re.IGNORECASE | re.MULTILINE,
)
SENTENCE = re.compile(r"\S+ \S+ \S.*?[.?](?:\s|$)", re.DOTALL)


def python_files() -> list[Path]:
    """Return all Python files of the project."""
    return [path for path in project_files() if path.suffix == ".py"]


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_says_in_a_sentence_what_it_owns(path: Path) -> None:
    docstring = ast.get_docstring(tree_of(path)) or ""
    assert SENTENCE.match(docstring), f"{name_of(path)}: the docstring is no sentence: {docstring!r}"


def test_every_module_that_is_not_served_says_what_it_is_about_too() -> None:
    quoted = PROJECT / "docs" / "examples"  # by the documents, which describe them
    served = set(modules())
    others = [
        path
        for path in python_files()
        if path not in served and quoted not in path.parents and path.read_text(encoding="utf-8").strip()
    ]
    assert [name_of(path) for path in others if not ast.get_docstring(tree_of(path))] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = [path.relative_to(PROJECT).with_suffix("") for path in python_files()]
    assert [str(name) for name in names if VAGUE_NAMES.intersection(name.parts)] == []


def test_no_module_is_too_long_to_be_read() -> None:
    lengths = {name_of(path): path.read_text(encoding="utf-8").count("\n") for path in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_the_date_of_a_revision_stands_in_one_module_only() -> None:
    dates = re.compile("|".join(map(re.escape, REVISIONS)))
    found = [
        f"{name_of(path)}:{line}: {text}"
        for path in modules()
        if path != REVISIONS_MODULE
        for line, text in code_tokens(path)
        if dates.search(text)
    ]
    assert found == []


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    own = {str(PROJECT), str(Path.home()), sys.prefix} - {"/", ""}
    found = []
    for path in project_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        known = [place for place in own if re.search(rf"(?<![\w.~/-]){re.escape(place)}(?![\w-])", text)]
        found += [f"{name_of(path)}: {match}" for match in (*known, *MACHINE_PATH.findall(text))]
    assert found == []


def test_no_file_names_a_package_registry() -> None:
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in project_files()}
    own = Path(__file__).resolve()
    found = {name_of(path): REGISTRY.findall(text) for path, text in texts.items() if path != own}
    assert {name: matches for name, matches in found.items() if matches} == {}


def test_no_source_names_a_temporary_directory_of_its_own() -> None:
    found = [
        f"{name_of(path)}:{line}: {text}"
        for path in modules()
        for line, text in code_tokens(path)
        if TEMPORARY_PATH.search(text)
    ]
    assert found == []


def test_records_are_value_objects() -> None:
    frozen = [name_of(path) for path in modules() if "dataclass(frozen" in path.read_text(encoding="utf-8")]
    assert frozen == [], "use tfo_mcp.value_objects: a frozen dataclass is slow to define and to make"
