"""docs/requirements.md and the tests agree: each requirement lists exactly the test files that refer to its number.

A reference is the letter R and a number, in a docstring or comment of a module below `tests`.
"""

import re

from tests.architecture.sources import PROJECT, name_of, project_files

PAGE = PROJECT / "docs" / "requirements.md"
ENTRY = re.compile(r"^### R(\d+): \S.*?(?=^#|\Z)", re.DOTALL | re.MULTILINE)
FIELD = re.compile(r"^- (\w+): (.+?)(?=\n- |\n*\Z)", re.DOTALL | re.MULTILINE)
PATH = re.compile(r"`(tests/[^`]+)`")
REFERENCE = re.compile(r"\bR([1-9]\d*)\b")
REASON = re.compile(r"none: \S+ .+", re.DOTALL)
REQUIRED = {"Strength", "Revisions", "Source", "Tests"}


def requirements() -> dict[int, dict[str, str]]:
    """Return the fields of each requirement of the page, by its number."""
    entries = ENTRY.finditer(PAGE.read_text(encoding="utf-8"))
    return {int(entry[1]): dict(FIELD.findall(entry[0])) for entry in entries}


def listed_files() -> dict[int, set[str]]:
    """Return the test files that the page lists, by the number of their requirement."""
    return {number: set(PATH.findall(fields["Tests"])) for number, fields in requirements().items()}


def referring_files() -> dict[int, set[str]]:
    """Return the test files that refer to a requirement, by its number."""
    found: dict[int, set[str]] = {}
    for path in project_files():
        if path.suffix == ".py" and path.is_relative_to(PROJECT / "tests"):
            for number in REFERENCE.findall(path.read_text(encoding="utf-8")):
                found.setdefault(int(number), set()).add(name_of(path))
    return found


def test_requirements_are_numbered_without_gaps_and_have_all_fields() -> None:
    numbers = [int(number) for number in ENTRY.findall(PAGE.read_text(encoding="utf-8"))]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {number: missing for number, fields in requirements().items() if (missing := REQUIRED - fields.keys())} == {}


def test_tests_refer_only_to_requirements_of_the_page() -> None:
    unknown = referring_files().keys() - requirements().keys()
    assert {number: referring_files()[number] for number in unknown} == {}


def test_a_requirement_lists_exactly_the_test_files_that_refer_to_it() -> None:
    assert {number: files for number, files in listed_files().items() if files} == referring_files()


def test_a_requirement_without_tests_gives_a_reason() -> None:
    untested = {number: requirements()[number]["Tests"] for number, files in listed_files().items() if not files}
    assert {number: text for number, text in untested.items() if not REASON.fullmatch(text)} == {}
