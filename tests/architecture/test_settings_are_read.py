"""Every setting of the model is read: `section.key` occurs in app or transports.

`settings.mcp.page_size` counts, and so does `section.page_size` after `section = settings.mcp`. Reads in the
configuration itself do not count, nor do writes.
"""

import ast
from collections.abc import Iterator
from functools import cache

import pytest

from tests.architecture.sources import PROJECT, modules, tree_of
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.infrastructure.config.reference import settings_by_name

CONFIGURATION = PROJECT / "app" / "tfo_mcp" / "infrastructure" / "config"
SECTIONS = {name.partition(".")[0] for name in settings_by_name()}


def bindings(tree: ast.Module) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the target and the value of every assignment."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=False)
            else:
                yield target, node.value


def section_of(value: ast.expr, names: dict[str, set[str]]) -> set[str]:
    """Return the sections that an expression may refer to."""
    if isinstance(value, ast.Attribute) and value.attr in SECTIONS:
        return {value.attr}
    return names.get(value.id, set()) if isinstance(value, ast.Name) else set()


def settings_read(tree: ast.Module) -> set[str]:
    """Return the names, such as `mcp.page_size`, of the settings that a module reads."""
    names: dict[str, set[str]] = {}
    for target, value in bindings(tree):
        if isinstance(target, ast.Name):
            names.setdefault(target.id, set()).update(section_of(value, {}))
    return {
        f"{section}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
        for section in section_of(node.value, names)
    }


@cache
def read_somewhere() -> set[str]:
    """Return the names of the settings that any module reads."""
    return {name for path in modules() if CONFIGURATION not in path.parents for name in settings_read(tree_of(path))}


@pytest.mark.parametrize("name", sorted(settings_by_name()))
def test_a_setting_is_read_by_something(name: str) -> None:
    assert name in read_somewhere()


def test_the_reference_holds_every_field_of_the_model() -> None:
    fields = Settings.model_fields
    sections = {section: fields[section].annotation for section in SECTIONS}
    names = {f"{section}.{key}" for section, model in sections.items() for key in getattr(model, "model_fields", {})}
    assert names == set(settings_by_name())
