"""Entries are added to and removed from JSON with comments and TOML; every other byte stays."""

import json
import tomllib
from pathlib import Path

import pytest

from tfo_mcp_transports.cli.hosts import HostFileError, Locations, jsonc, toml

ENTRY = {"command": "run", "args": ["a"]}
RENDERED = '"new": {\n      "command": "run",\n      "args": [\n        "a"\n      ]\n    }'
TEXTS = [
    "",
    "{}",
    "{}\n",
    "// nothing yet\n",
    '{"servers": {}}',
    '{ "servers": { "a": 1 } }',
    '{\n  "servers": {\n    "a": 1\n  }\n}\n',
    '{\n  "servers": {\n    "a": 1,\n  },\n}\n',
    '{\n  "servers": {\n    "a": 1 // one\n    // the end\n  } // all\n}\n',
    '{\n  "servers": {\n    "a": {"x": [1, 2,]}, /* two */ // three\n    // "off": {}\n  },\n  "z": 1\n}\n',
    '{\n\t"servers": { // none\n\t}\n}',
    '{\r\n    "z": "ü",\r\n    "servers": {}\r\n}\r\n',
    '{"other": 1, "servers": {"a": {}}, "z": [{}]}',
    '{\n  "servers": {\n  /* many\n     lines */ }\n}\n',
    '\ufeff{"servers": {"a": "\\"}"}}',
    '{"servers": {"a": 1} /* , */ , "z": 2}',
    '{"y": [\n{"x": 1},\n], "servers": {"a": [[1,], {"y": 2},],},}',
]


@pytest.mark.parametrize("text", TEXTS)
def test_adding_and_removing_a_member_changes_no_other_byte(text: str) -> None:
    added = jsonc.put(text, ["servers", "new"], ENTRY)
    assert jsonc.value(added, ["servers", "new"]) == ENTRY
    assert jsonc.value(added, ["servers", "a"]) == jsonc.value(text, ["servers", "a"])
    assert jsonc.value(added, ["z"]) == jsonc.value(text, ["z"])
    assert _squeezed(text).strip("{}") in _squeezed(added) or _is_subsequence(text, added)
    assert jsonc.put(added, ["servers", "new"], {**ENTRY, "args": []}).count("run") == 1
    removed = jsonc.remove(added, ["servers", "new"])
    assert jsonc.value(removed, ["servers", "new"]) is None
    before = text.replace('"servers": {}', "") if "servers" in text else text
    assert _is_subsequence(before.replace(" ", ""), removed.replace(" ", ""))
    if '"a"' in text:
        assert _squeezed(removed) == _squeezed(text)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(character in rest for character in part)


def test_a_member_is_added_in_the_layout_of_the_others() -> None:
    text = '{\n  "servers": {\n    "a": 1 // one\n  }\n}\n'
    expected = f'{{\n  "servers": {{\n    "a": 1, // one\n    {RENDERED}\n  }}\n}}\n'
    assert jsonc.put(text, ["servers", "new"], ENTRY) == expected
    assert jsonc.remove(expected, ["servers", "new"]) == text


def test_the_first_member_in_a_new_file() -> None:
    expected = f'{{\n  "servers": {{\n    {RENDERED}\n  }}\n}}\n'
    assert jsonc.put("", ["servers", "new"], ENTRY) == expected


def test_a_member_between_others_is_removed_with_its_line() -> None:
    text = '{\n  "servers": {\n    "a": 1,\n    "new": {},\n    "b": 2\n  }\n}\n'
    assert jsonc.remove(text, ["servers", "new"]) == '{\n  "servers": {\n    "a": 1,\n    "b": 2\n  }\n}\n'
    assert json.loads(jsonc.remove('{"servers": {"new": {}, "b": 2}}', ["servers", "new"])) == {"servers": {"b": 2}}
    assert json.loads(jsonc.remove('{"servers": {"b": 2, "new": {}}}', ["servers", "new"])) == {"servers": {"b": 2}}


@pytest.mark.parametrize(
    "text",
    ["[]", "{}{}", '{"servers": []}', '{"servers": {}', "{'servers': {}}", '{"a": 1,, "b": 2}', "{,}", '{"a" 1}', "x"],
)
def test_what_is_not_an_object_of_servers_is_refused(text: str) -> None:
    with pytest.raises(HostFileError):
        jsonc.put(text, ["servers", "new"], ENTRY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# mine\n[servers.a]\nx = 1 # one\n\n[z]\ny = 2\n",
        "[servers]\na = {x = 1}\n",
        "servers.a.x = 1\n",
        '[[list]]\nx = 1\n[servers."a b"]\nx = 1',
    ],
)
def test_toml_keeps_its_comments_and_its_other_tables(text: str) -> None:
    added = toml.put(text, ["servers", "new"], {**ENTRY, "env": {"A": '["x"]'}})
    parsed = tomllib.loads(added)
    assert parsed["servers"].pop("new") == {**ENTRY, "env": {"A": '["x"]'}}
    assert {**parsed, "servers": parsed["servers"] or None} == {"servers": None, **tomllib.loads(text)}
    assert added.startswith(text.rstrip("\n")[:10])
    assert "#" not in text or all(line in added for line in text.splitlines())
    assert tomllib.loads(toml.put(added, ["servers", "new"], ENTRY))["servers"]["new"] == ENTRY
    assert "new" not in tomllib.loads(toml.remove(added, ["servers", "new"])).get("servers", {})


OWN = '[servers.new]\ncommand = "old"\n\n[servers.new.env]\nA = "1"\n'
SURROUNDED = [
    ("# mine\n[a]\nx = 1\n\n", OWN, "\n# my profiles\n[profiles.fast]\nmodel = 'mini' # small\n"),
    ("", OWN, "# at once\n\n\n[z]\n"),
    ("[servers.one]\nx = 1\n", OWN, "\n\n# the end"),
    ('t = """\n[servers.new]\nx = 1\n"""\n# above\n', OWN, "[[list]]\nx = [ # ]\n 1,\n]\n"),
    ("", "[ servers . 'new' ] # of mine\n\n x = { y = '}' }\n", "\n#[servers.new]\n[ servers.newer ]\nx = 2\n"),
    ("[servers]\n", OWN, ""),
    ("", "[[servers.new]]\nx = 1\n[[servers.new]]\nx = 2\n", "# other\n[z]\n"),
]


@pytest.mark.parametrize(("before", "own", "after"), SURROUNDED)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_toml_keeps_every_line_of_others_around_an_entry(before: str, own: str, after: str, line_end: str) -> None:
    text = (before + own + after).replace("\n", line_end)
    before, after = before.replace("\n", line_end), after.replace("\n", line_end)
    replaced = toml.put(text, ["servers", "new"], ENTRY)
    inserted = replaced.removeprefix(before).removesuffix(after)
    assert before + inserted + after == replaced
    assert tomllib.loads(inserted) == {"servers": {"new": ENTRY}}
    assert inserted.count("\n") == inserted.count(line_end) == len(inserted.splitlines())
    assert toml.put(replaced, ["servers", "new"], {**ENTRY, "command": "again"}) == replaced.replace("run", "again")
    removed = toml.remove(text, ["servers", "new"])
    assert _without_blank_lines(removed) == _without_blank_lines(before + after)
    assert "new" not in tomllib.loads(removed).get("servers", {})


def _without_blank_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("text", ["", "# mine\n", "x = 1\r\n", "[servers.a]\nx = 1\n\n\n", "\n", "[servers]\n# none\n"])
def test_an_entry_that_was_added_to_toml_is_removed_without_a_trace(text: str) -> None:
    added = toml.put(text, ["servers", "new"], ENTRY)
    assert added.startswith(text)
    assert toml.remove(added, ["servers", "new"]) == text
    more = f"{added}\n# more\n[z]\n"
    assert toml.remove(more, ["servers", "new"]) == f"{text}\n# more\n[z]\n"


@pytest.mark.parametrize(
    "own",
    [
        "servers.new.command = 'x'\n# about it\nservers.new.args = []\nservers.one.command = 'y'\n",
        "servers.new = { command = 'x' }\nservers.one.command = 'y'\n",
        "servers.new = 1\nservers.one.command = 'y'\n",
        "[servers]\nnew.command = 'x'\none.command = 'y'\n",
        "[servers]\nnew = [\n  1, # one\n]\n\"one\" = { command = 'y' }\n",
        "[servers.new.env]\nA = '1'\n[servers.one]\ncommand = 'y'\n# of mine\n[servers.new]\ncommand = 'x'\n",
    ],
)
def test_an_entry_of_toml_in_any_other_form_is_replaced_and_removed(own: str) -> None:
    others = {"servers": {"one": {"command": "y"}}}
    replaced = toml.put(own, ["servers", "new"], ENTRY)
    assert tomllib.loads(replaced) == {"servers": {**others["servers"], "new": ENTRY}}
    assert tomllib.loads(toml.remove(own, ["servers", "new"])) == others
    assert "# of mine" not in own or "# of mine" in replaced


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", "the file is not TOML"),
        ("[servers", "the file is not TOML"),
        (f"x = {'[' * 5000}", "the file is not TOML"),
        (f"x = {'1' * 5000}", "the file is not TOML"),
        ("servers = 1", '"servers" is not a table'),
        ('servers = "x"', '"servers" is not a table'),
        ("[[servers]]\nx=1", '"servers" is not a table'),
        ("servers = { one = { command = 'x' } }", '"servers" is an inline table'),
        ("servers = { new = { command = 'x' } }", '"servers" is an inline table'),
    ],
)
def test_what_is_not_toml_with_a_table_of_servers_is_refused(text: str, reason: str) -> None:
    with pytest.raises(HostFileError, match=reason):
        toml.put(text, ["servers", "new"], ENTRY)


class TestClaudeDesktop:
    def test_the_usual_places(self, tmp_path: Path) -> None:
        linux = Locations("linux", tmp_path, {"XDG_CONFIG_HOME": ""})
        mac, windows = Locations("darwin", tmp_path, {}), Locations("win32", tmp_path, {})
        file = "Claude/claude_desktop_config.json"
        assert linux.claude_desktop == tmp_path / ".config" / file
        assert mac.claude_desktop == tmp_path / "Library" / "Application Support" / file
        assert windows.claude_desktop == tmp_path / "AppData" / "Roaming" / file

    def test_the_package_of_the_windows_store_has_its_own_file(self, tmp_path: Path) -> None:
        places = Locations("win32", tmp_path, {"LOCALAPPDATA": str(tmp_path / "Local"), "APPDATA": str(tmp_path)})
        first, second = (tmp_path / "Local" / "Packages" / f"Claude_{name}" for name in ("aaa", "bbb"))
        inside = "LocalCache/Roaming/Claude/claude_desktop_config.json"
        first.mkdir(parents=True)
        assert places.claude_desktop == first / inside
        second.mkdir()
        with pytest.raises(HostFileError, match=r"several times(.|\n)*aaa(.|\n)*bbb"):
            _ = places.claude_desktop
        (second / inside).parent.mkdir(parents=True)
        (second / inside).write_text("{}")
        assert places.claude_desktop == second / inside
