"""The model, the file tfo-mcp.yaml and the page docs/configuration.md agree.

After a change of a setting, `tfo-mcp init-config --force --output tfo-mcp.yaml` writes the file again, and a comment in
the page says how to print its tables.
"""

import re
import shlex
from pathlib import Path

import pytest

from tfo_mcp.infrastructure.config import ConfigurationError, Settings, load, render_markdown, render_yaml
from tfo_mcp.infrastructure.config.reference import settings_by_name
from tfo_mcp.infrastructure.config.shapes import RootPath

PROJECT = Path(__file__).parents[3]
PAGE = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the fenced examples of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def variables() -> dict[str, str]:
    """Return the variables that the shell example of the page exports."""
    (script,) = blocks("sh")
    words = [shlex.split(line) for line in script.splitlines()]
    return dict(word.split("=", 1) for _, word in words)


def test_the_file_of_the_project_is_the_rendered_one() -> None:
    assert (PROJECT / "tfo-mcp.yaml").read_text(encoding="utf-8") == render_yaml()


def test_the_tables_of_the_page_are_the_rendered_ones() -> None:
    assert PAGE.endswith("-->\n\n" + render_markdown())


def test_the_rendered_file_holds_every_setting_at_its_default(tmp_path: Path) -> None:
    file = tmp_path / "rendered.yaml"
    file.write_text(render_yaml(), encoding="utf-8")
    settings = load(file, environ={})
    assert settings.source == file.resolve()
    assert settings.model_copy(update={"source": None, "origins": {}}) == Settings()
    assert settings.model_dump().keys() == {name.partition(".")[0] for name in settings_by_name()}
    for name in settings_by_name():
        section, key = name.split(".")
        assert key in getattr(settings, section).model_fields_set, name


def test_every_setting_of_the_rendered_file_has_a_comment_above_it() -> None:
    lines = render_yaml().splitlines()
    settings = [index for index, line in enumerate(lines) if re.match(r"  [a-z_]+: ", line)]
    assert len(settings) == len(settings_by_name())
    assert all(lines[index - 1].startswith("  # ") for index in settings)


def test_the_rendered_texts_do_not_depend_on_the_settings_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    before = render_yaml(), render_markdown()
    monkeypatch.setenv("TELEMETRYFLOW_MCP_SERVER_PORT", "9000")
    load(environ={"TELEMETRYFLOW_MCP_SERVER_PORT": "9000"})
    assert (render_yaml(), render_markdown()) == before


def test_each_setting_has_one_row_with_its_variable_in_the_page() -> None:
    for setting in settings_by_name().values():
        row = f"| `{setting.name}` | `TELEMETRYFLOW_MCP_{setting.section.upper()}_{setting.key.upper()}`"
        assert PAGE.count(row) == 1, setting.name


def test_the_example_files_of_the_page_load(tmp_path: Path) -> None:
    desktop, hosted = blocks("yaml")
    (tmp_path / "desktop.yaml").write_text(desktop, encoding="utf-8")
    (tmp_path / "hosted.yaml").write_text(hosted, encoding="utf-8")
    assert load(tmp_path / "desktop.yaml", environ={}).files.roots == [RootPath(Path.home() / "projects" / "shop")]
    assert load(tmp_path / "hosted.yaml", environ={}).server.transport == "http"


def test_the_example_of_variables_gives_the_same_settings_as_the_example_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "hosted.yaml"
    file.write_text(blocks("yaml")[1], encoding="utf-8")
    whence: dict[str, object] = {"source": None, "origins": {}}
    from_file, from_variables = load(file, environ={}), load(environ=variables())
    assert from_variables.model_copy(update=whence) == from_file.model_copy(update=whence)


def test_the_example_of_problems_is_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tfo-mcp.yaml").write_text("server: {prot: 1}\nlogging: {level: loud}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(environ={"TELEMETRYFLOW_MCP_MCP_PAGE_SIZE": "many"})
    (example,) = blocks("text")
    assert sorted(str(caught.value).splitlines()) == sorted(example.splitlines())
