"""The sources of the project for the architecture tests: tracked files, syntax trees and tokens.

Reads files only. The tests own the rules.
"""

import ast
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("app/tfo_mcp", "transports/tfo_mcp_transports")


def modules() -> list[Path]:
    """Return the modules of the two packages."""
    return sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    """Return a path relative to the project, with slashes."""
    return path.relative_to(PROJECT).as_posix()


def project_files() -> list[Path]:
    """Return all files of the project that git does not ignore."""
    line = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(line, cwd=PROJECT, capture_output=True, check=True).stdout.decode()
    return sorted(path for name in listed.split("\0") if name and (path := PROJECT / name).is_file())


def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def documentation_lines(tree: ast.Module) -> set[int]:
    """Return the lines of all docstrings, including those of attributes."""
    texts = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return {line for text in texts for line in range(text.lineno, (text.end_lineno or text.lineno) + 1)}


def code_tokens(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and texts of all tokens that are neither comments nor docstrings."""
    documented = documentation_lines(tree_of(path))
    with path.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type != tokenize.COMMENT and token.start[0] not in documented:
                yield token.start[0], token.string
