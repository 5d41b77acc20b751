"""`tfo-mcp dev FILE`: everything is allowed on this machine, failures show their traceback, saving loads again."""

from pathlib import Path

import pytest

from tests.e2e.one_run import printed, run, run_together
from tests.support.deadlines import wait_until
from tests.support.processes import child, free_port

PLUGIN = '''\
from tfo_mcp.plugins import tool


@tool
def divide(a: int, b: int) -> float:
    """Divide."""
    return a / b
'''


PUBLIC = """\
security: {require_key: true, anonymous: none}
server: {allowed_hosts: [mcp.example], trusted_proxies: [10.0.0.0/8]}
"""


@pytest.mark.parametrize("settings", ["", PUBLIC], ids=["defaults", "of a public server"])
def test_a_plugin_is_tried_and_changed_while_it_is_served(tmp_path: Path, settings: str) -> None:
    (tmp_path / "tfo-mcp.yaml").write_text(settings)
    file, port = tmp_path / "mine.py", free_port()
    file.write_text(PLUGIN)
    url = f"http://127.0.0.1:{port}/mcp"
    with child(["dev", "mine.py", "--port", str(port)], pipes=True, directory=tmp_path) as running:
        assert "every tool" in printed(running, "Press Ctrl").string
        assert running.process.stdout is not None
        running.process.stdout.close()
        wait_until(lambda: "startup complete" in running.stderr(), "the server listens")
        failed, allowed = run_together(
            [
                ["call", "divide", '{"a": 1, "b": 0}', "--url", url],
                ["call", "write_file", '{"path": "new.txt", "content": "x"}', "--url", url],
            ],
            directory=tmp_path,
        )
        assert failed.code == 1
        assert "return a / b" in failed.stdout
        assert "ZeroDivisionError" in failed.stdout
        assert allowed.code == 0, allowed
        file.write_text("syntax error")
        wait_until(lambda: "mine.py: Plugin 'mine' cannot be imported" in running.stderr(), "the error is reported")
        file.write_text(PLUGIN.replace("a / b", "a // b + 0.5"))
        wait_until(lambda: "mine.py: loaded again" in running.stderr(), "the plugin is loaded again")
        assert run("call", "divide", '{"a": 7, "b": 2}', "--url", url, directory=tmp_path).result == "3.5\n"


def test_a_file_that_is_no_module_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "my-tools.py").write_text(PLUGIN)
    for name in ("my-tools.py", "missing.py"):
        assert name in run("dev", name, directory=tmp_path).only_complaint


@pytest.mark.parametrize("name", ["calendar", "string", "test", "sys", "pydantic", "tfo_mcp", "__main__"])
def test_a_file_with_the_name_of_another_module_is_refused_with_the_advice_to_rename_it(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / f"{name}.py").write_text(PLUGIN)
    complaint = run("dev", f"{name}.py", directory=tmp_path).only_complaint
    assert f"{name}.py" in complaint
    assert f"rename it, for example to my_{name.strip('_')}.py" in complaint


def test_a_file_beside_a_package_of_its_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert "rename it" in run("dev", "mine.py", directory=tmp_path).only_complaint


def test_a_file_beside_a_directory_of_its_name_is_served(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "mine.py").write_text(PLUGIN)
    with child(["dev", "tools/mine.py", "--port", str(free_port())], directory=tmp_path) as running:
        wait_until(lambda: "startup complete" in running.stderr(), "the server listens")
        assert "has no tool" not in running.stderr()


def test_a_file_without_a_tool_is_reported_at_the_start_and_when_it_is_saved(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def add(a: int, b: int) -> int:\n    return a + b\n")
    reason = "mine.py: has no tool, resource or prompt: decorate a function"
    with child(["dev", "mine.py", "--port", str(free_port())], directory=tmp_path) as running:
        wait_until(lambda: "startup complete" in running.stderr(), "the server listens")
        assert running.stderr().count(reason) == 1
        file.write_text(PLUGIN)
        wait_until(lambda: "mine.py: loaded again" in running.stderr(), "the plugin is loaded again")
        assert running.stderr().count(reason) == 1
        file.write_text("nothing = None\n")
        wait_until(lambda: running.stderr().count(reason) == 2, "the loss of the tool is reported")
