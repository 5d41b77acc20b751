"""Names of files: what a listing shows can be given back, as path and as URI, to tools, resources and subscriptions."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.conversations import Conversation
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS, JsonObject
from tests.support.services import Services, services

UPDATED = "notifications/resources/updated"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
ODD = [
    "file:x.txt", "FILE:y", "file:", "file:a/x", "a:b", "http:x", "%41.txt", "%zz", "100%", "#x", "x#y", "?q", "x?y",
    " a", "a ", "a b", '"a"', "'a'", "a\nb", "a\tb", "\\", "a\\b", "*", "[a]", "{a}", "~", "-a", "a&b=c;d", "é",
    "e\u0301x", "\u202eevil", "日本", "🎉", "...", ".a",
]  # fmt: skip
NFC, NFD = "caf\u00e9", "cafe\u0301"
ALIKE = {  # as a model or a person writes a name, and as it is
    "Screenshot at 1.00.00 PM.png": "Screenshot at 1.00.00\u202fPM.png",
    "fine.txt": "\ufb01ne.txt",
    "1.txt": "\u2460.txt",
    "don't.txt": "don\u2019t.txt",
    "a - b.txt": "a \u2013 b.txt",
    "no\u00a0break.txt": "no break.txt",
}
PLACES = [(transport, era) for transport in ("stdio", "http") for era in (LATEST_HANDSHAKE, STATELESS)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root é")
    for name in ODD:
        (root / "odd" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "odd" / name).write_text(name)
    for name in ("file:x.txt", "file:z/x", "plain.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    with open(os.fsencode(root) + b"/odd/\xff.txt", "wb") as file:
        file.write(b"bytes")
    (root / "file:").mkdir()
    (root / "file:" / "x").write_text("file:/x")
    (root / NFD).mkdir()
    (root / NFD / f"{NFD}.txt").write_text("decomposed")
    (root / NFD / f"{NFC}2.txt").write_text("composed")
    (root / "alike").mkdir()
    for name in ALIKE.values():
        (root / "alike" / name).write_text(name)
    (root / "both").mkdir()
    for name in (NFC, NFD):
        (root / "both" / name).write_text(name)
    return root


@pytest.fixture(scope="module")
def servers(root: Path) -> Iterator[Services]:
    with services({"files": {"roots": [str(root)]}, "security": {"anonymous": "all"}}) as running:
        yield running


@pytest.fixture(params=PLACES, ids="-".join)
def conversation(request: pytest.FixtureRequest, servers: Services) -> Conversation:
    return servers.shared(*request.param)


def entries(conversation: Conversation, path: str, **more: Any) -> list[JsonObject]:
    result = conversation.tool("list_directory", {"path": path, **more})
    found: list[JsonObject] = result["structuredContent"]["entries"]
    return found


def resource_text(conversation: Conversation, uri: str) -> str:
    """Return the contents of a text resource."""
    text: str = conversation.result("resources/read", {"uri": uri})["contents"][0]["text"]
    return text


def test_every_listed_file_is_read_by_the_path_or_the_uri_of_its_entry(conversation: Conversation) -> None:
    listed = [entry for entry in entries(conversation, "odd", recursive=True) if entry["type"] == "file"]
    read = {conversation.text("read_file", {"path": entry["uri"] or f"odd/{entry['path']}"}) for entry in listed}
    assert read == {*ODD, "bytes"}


@pytest.mark.parametrize("name", ODD)
def test_a_file_of_an_odd_name_is_read_by_path_by_uri_and_as_a_resource(
    conversation: Conversation, root: Path, name: str
) -> None:
    uri = f"file://{quote(str(root / 'odd' / name))}"
    assert conversation.text("read_file", {"path": f"odd/{name}"}) == name
    assert conversation.text("read_file", {"path": str(root / "odd" / name)}) == name
    assert conversation.text("read_file", {"path": uri}) == name
    assert resource_text(conversation, uri) == name
    assert conversation.tool("file_info", {"path": f"odd/{name}"})["structuredContent"]["uri"] == uri


@pytest.mark.parametrize("path", ["file:x.txt", "./file:x.txt", "file:z/x", "file:/x", "./file:/x"])
def test_a_name_that_begins_as_a_uri_does_is_a_name(conversation: Conversation, path: str) -> None:
    assert conversation.text("read_file", {"path": path}) == path.removeprefix("./")


def test_an_entry_that_looks_like_a_uri_has_one(conversation: Conversation, root: Path) -> None:
    found = {entry["path"]: entry["uri"] for entry in entries(conversation, ".", recursive=True)}
    assert found["file:/x"] == f"file://{quote(str(root))}/file%3A/x"
    assert found["file:x.txt"] is None
    assert conversation.text("read_file", {"path": found["file:/x"]}) == "file:/x"


def forms(path: str) -> list[str]:
    """Return the forms of a file: URI."""
    encoded = quote(path)
    everything = "/" + "".join(f"%{byte:02x}" for byte in path[1:].encode())
    return [
        f"file:{encoded}",
        f"file://{encoded}",
        f"file://localhost{encoded}",
        f"FILE://LocalHost{encoded}",
        f"File:{encoded}",
        f"file://{everything}",
        f"file://{everything.upper()}",
        f"file://{path.replace(' ', '%20')}",
    ]


@pytest.mark.parametrize("form", range(8))
def test_every_form_of_a_uri_is_accepted_alike(conversation: Conversation, root: Path, form: int) -> None:
    uri = forms(str(root / "plain.txt"))[form]
    assert conversation.text("read_file", {"path": uri}) == "plain.txt"
    assert resource_text(conversation, uri) == "plain.txt"
    listed = resource_text(conversation, forms(str(root))[form])
    assert '"plain.txt"' in listed


@pytest.mark.parametrize("form", range(8))
def test_subscriptions_take_every_form_and_report_it_as_it_was_given(
    conversation: Conversation, root: Path, form: int
) -> None:
    uri = forms(str(root / "plain.txt"))[form]
    if conversation.stateless:
        identifier = conversation.start("subscriptions/listen", {"notifications": {"resourceSubscriptions": [uri]}})
        conversation.notification(ACKNOWLEDGED)
    else:
        conversation.attend()
        conversation.result("resources/subscribe", {"uri": uri})
    (root / "plain.txt").touch()
    assert conversation.notification(UPDATED)["params"]["uri"] == uri
    if conversation.stateless:
        conversation.cancel(identifier)
    else:
        conversation.result("resources/unsubscribe", {"uri": uri})


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("file://elsewhere/x", "no host except localhost"),
        ("file://127.0.0.1/x", "no host except localhost"),
        ("file://x", "no host except localhost"),
        ("FILE://user@localhost/x", "no host except localhost"),
        ("file:///x?y", "write ? as %3F"),
        ("file:/x#y", "write # as %23"),
    ],
)
def test_an_invalid_uri_is_refused_and_says_what_to_change(conversation: Conversation, uri: str, words: str) -> None:
    result = conversation.tool("read_file", {"path": uri})
    assert result["isError"]
    assert words in result["content"][0]["text"]
    assert words in conversation.error("resources/read", {"uri": uri})["message"]
    if conversation.stateless:
        error = conversation.error("subscriptions/listen", {"notifications": {"resourceSubscriptions": [uri]}})
    else:
        error = conversation.error("resources/subscribe", {"uri": uri})
    assert words in error["message"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(("name", "text"), [(f"{NFC}.txt", "decomposed"), (f"{NFC}2.txt", "composed")])
def test_a_name_is_found_in_either_normalization(
    conversation: Conversation, root: Path, name: str, text: str, form: Any
) -> None:
    for path in (f"{NFC}/{name}", str(root / NFC / name), f"./{NFC}/../{NFC}/{name}"):
        given = unicodedata.normalize(form, path)
        assert conversation.text("read_file", {"path": given}) == text
    uri = f"file://{quote(unicodedata.normalize(form, str(root / NFC / name)))}"
    assert resource_text(conversation, uri) == text
    assert len(entries(conversation, unicodedata.normalize(form, NFC))) == 2


def test_of_two_names_the_exact_one_is_meant(conversation: Conversation) -> None:
    for name in (NFC, NFD):
        assert conversation.text("read_file", {"path": f"both/{name}"}) == name


def test_a_change_reaches_the_file_that_exists_and_makes_no_second_one(
    conversation: Conversation, root: Path, tmp_path: Path
) -> None:
    folder = root / tmp_path.name
    folder.mkdir()
    (folder / NFD).write_text("old")
    path = f"{folder.name}/{NFC}"
    assert conversation.tool("write_file", {"path": path, "content": "x", "mode": "create"})["isError"]
    conversation.text("write_file", {"path": path, "content": "new"})
    conversation.text("edit_file", {"path": path, "edits": [{"old_text": "new", "new_text": "newer"}]})
    assert [(entry.name, entry.read_text()) for entry in folder.iterdir()] == [(NFD, "newer")]
    conversation.text("delete_file", {"path": path})
    conversation.text("write_file", {"path": path, "content": "own"})
    assert os.listdir(folder) == [NFC]
    (folder / NFC).unlink()
    folder.rmdir()


@pytest.mark.parametrize("name", ALIKE)
def test_a_missing_file_is_told_of_the_one_that_looks_alike(conversation: Conversation, name: str) -> None:
    for tool, more in (
        ("read_file", {}),
        ("file_info", {}),
        ("edit_file", {"edits": [{"old_text": "a", "new_text": "b"}]}),
    ):
        result = conversation.tool(tool, {"path": f"alike/{name}", **more})
        assert result["isError"]
        assert f"There is {ALIKE[name]!a}" in result["content"][0]["text"]
    assert conversation.tool("write_file", {"path": f"alike/new {name}", "content": "x"})["isError"] is False
    assert "There is" not in conversation.tool("read_file", {"path": f"alike/not {name}"})["content"][0]["text"]
