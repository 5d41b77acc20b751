"""The targets of make: those that documents name have a rule, and those with a rule are declared."""

import re

from tests.architecture.sources import PROJECT, name_of, project_files

MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
RULES = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
NAMED = re.compile(r"(?:`|^ {4}|^)make ([a-z][a-z-]*)", re.MULTILINE)  # in a sentence or in a block of commands


def test_every_target_that_a_document_names_has_a_rule() -> None:
    documents = [path for path in project_files() if path.suffix == ".md"]
    named = {(name_of(path), target) for path in documents for target in NAMED.findall(path.read_text("utf-8"))}
    assert {target for _, target in named} > {"run", "test", "bench"}
    assert sorted((path, target) for path, target in named if target not in RULES) == []


def test_the_declared_targets_are_those_with_a_rule() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert declared is not None
    assert set(declared[1].split()) == RULES
