"""The loader: modules by name and by entry point, and one clear error for a module that cannot be loaded."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tfo_mcp.builtin import MODULES, loaded
from tfo_mcp.plugins.loader import PluginError, collect, load_plugins

Write = Callable[..., None]

TOOL = """
from tfo_mcp.plugins import tool

@tool()
def {name}() -> str:
    return "{name}"
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Return a function that writes an importable module; imported modules are removed afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write_module(name: str, source: str) -> None:
        file = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")

    yield write_module
    for name in set(sys.modules) - before:
        del sys.modules[name]


def install(directory: Path, *entry_points: str) -> None:
    """Install a distribution with these entry points on the import path."""
    metadata = directory / "some_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: some-plugin\nVersion: 1.0\n", encoding="utf-8")
    lines = "\n".join(["[tfo_mcp.plugins]", *entry_points])
    (metadata / "entry_points.txt").write_text(lines, encoding="utf-8")


def keys(*modules: str) -> list[str]:
    """Return the keys of the definitions in these modules."""
    return [definition.key for definition in collect(load_plugins(modules))]


def test_named_modules_are_loaded_in_their_order(write: Write) -> None:
    write("plugin_b", TOOL.format(name="b"))
    write("pack.plugin_a", TOOL.format(name="a"))
    assert keys("plugin_b", "pack.plugin_a") == ["b", "a"]


def test_installed_entry_points_are_loaded_after_the_named_modules(write: Write, tmp_path: Path) -> None:
    write("plugin_a", TOOL.format(name="a"))
    write("installed", TOOL.format(name="b"))
    install(tmp_path, "some = installed")
    assert keys("plugin_a") == ["a", "b"]


def test_a_module_that_is_named_and_installed_counts_once(write: Write, tmp_path: Path) -> None:
    write("plugin_a", TOOL.format(name="a"))
    install(tmp_path, "some = plugin_a:anything")
    assert keys("plugin_a") == ["a"]


def test_what_a_module_imports_from_another_is_served_once(write: Write) -> None:
    write("plugin_a", TOOL.format(name="a"))
    write("plugin_b", "from plugin_a import a\nagain = a")
    assert keys("plugin_b") == ["a"]
    assert keys("plugin_a", "plugin_b") == ["a"]


def test_a_module_without_definitions_is_no_error(write: Write) -> None:
    write("plugin_a", "nothing = None")
    assert keys("plugin_a") == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import does_not_exist", "ModuleNotFoundError: No module named 'does_not_exist'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def broken(:", "SyntaxError"),
        ("from tfo_mcp.plugins import tool\n@tool('a b')\ndef f() -> str: ...", "Tool 'a b'"),
        ("from tfo_mcp.plugins import tool\n@tool()\ndef f(a: 'Nowhere') -> str: ...", "cannot be resolved"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_one_line_that_names_it(write: Write, source: str, said: str) -> None:
    write("bad_plugin", source)
    with pytest.raises(PluginError) as caught:
        load_plugins(["bad_plugin"])
    message = str(caught.value)
    assert message.startswith("Plugin 'bad_plugin' cannot be ")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["calendar", "json.tool"])
def test_a_module_of_the_standard_library_is_no_plugin(name: str) -> None:
    with pytest.raises(PluginError, match=f"Plugin '{name}' has the name of a module of Python: rename"):
        load_plugins([name])


def test_a_plugin_that_is_not_there_is_named(write: Write) -> None:
    with pytest.raises(PluginError, match="Plugin 'no_such_plugin' cannot be imported: ModuleNotFoundError"):
        load_plugins(["no_such_plugin"])


def test_an_entry_point_that_cannot_be_loaded_is_named_by_its_own_name(write: Write, tmp_path: Path) -> None:
    install(tmp_path, "some = no_such_module")
    with pytest.raises(PluginError, match="Plugin 'some' cannot be imported"):
        load_plugins([])


def test_two_definitions_of_one_name_are_an_error_that_names_both_modules(write: Write) -> None:
    write("plugin_a", TOOL.format(name="same"))
    write("plugin_b", TOOL.format(name="same"))
    with pytest.raises(PluginError, match="plugin_b defines the tool 'same', which plugin_a already defines"):
        keys("plugin_a", "plugin_b")


def test_a_plugin_cannot_take_the_name_of_a_built_in(write: Write) -> None:
    write("plugin_a", TOOL.format(name="echo"))
    with pytest.raises(PluginError, match="the tool 'echo'"):
        collect([*loaded(MODULES), *load_plugins(["plugin_a"])])


def test_a_tool_and_a_prompt_may_share_a_name(write: Write) -> None:
    write("plugin_a", TOOL.format(name="same"))
    write("plugin_b", TOOL.format(name="same").replace("tool", "prompt"))
    assert keys("plugin_a", "plugin_b") == ["same", "same"]
