"""Subscriptions to files: any change of the file notifies the client, in both eras and over every transport."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.behaviour.matrix import over
from tests.support.conversations import Conversation
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE, STATELESS

UPDATED = "notifications/resources/updated"
SOON = 1.0  # maximum seconds from a change to its notification


@pytest.fixture
def folder(roots: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory below the root that only this test uses."""
    folder = roots / quote(request.node.name, safe="")[:200]
    folder.mkdir()
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def uri_of(path: Path) -> str:
    return f"file://{quote(str(path))}"


def listen(conversation: Conversation, *uris: str) -> None:
    """Subscribe the conversation to these resources."""
    if conversation.stateless:
        conversation.start("subscriptions/listen", {"notifications": {"resourceSubscriptions": list(uris)}})
        conversation.notification("notifications/subscriptions/acknowledged")
        return
    conversation.attend()
    for uri in uris:
        conversation.result("resources/subscribe", {"uri": uri})


def told_of(conversation: Conversation) -> str:
    return str(conversation.notification(UPDATED, SOON)["params"]["uri"])


@over(*HANDSHAKE_REVISIONS, STATELESS)
def test_a_file_that_is_changed_in_place_or_replaced_is_told_of(conversation: Conversation, folder: Path) -> None:
    file, other = folder / "watched", folder / "other"
    file.write_text("1")
    listen(conversation, uri_of(file))
    other.write_text("not this one")
    assert not conversation.settle()
    file.write_text("22")
    assert told_of(conversation) == uri_of(file)
    other.replace(file)
    assert told_of(conversation) == uri_of(file)
    assert not conversation.settle()


@over(LATEST_HANDSHAKE, STATELESS)
def test_a_file_that_comes_and_goes_is_told_of(conversation: Conversation, folder: Path) -> None:
    file = folder / "later" / "watched"
    listen(conversation, uri_of(file))
    file.parent.mkdir()
    file.write_text("1")
    assert told_of(conversation) == uri_of(file)
    file.unlink()
    assert told_of(conversation) == uri_of(file)
    file.parent.rename(folder / "gone")
    (folder / "gone" / "watched").write_text("elsewhere")
    file.parent.mkdir()
    file.write_text("new")
    assert told_of(conversation) == uri_of(file)


@over(LATEST_HANDSHAKE, STATELESS)
def test_what_a_tool_writes_is_told_of_under_every_name_once(conversation: Conversation, folder: Path) -> None:
    relative = f"file:///{quote(folder.name)}/watched"
    listen(conversation, uri_of(folder / "watched"), relative)
    conversation.tool("write_file", {"path": f"{folder.name}/watched", "content": "1"})
    assert {told_of(conversation), told_of(conversation)} == {uri_of(folder / "watched"), relative}
    assert not conversation.settle()


@over(LATEST_HANDSHAKE, STATELESS)
def test_a_file_outside_the_roots_is_not_told_of(conversation: Conversation, folder: Path, roots: Path) -> None:
    outside = roots.parent / f"outside of {folder.name}"
    outside.write_text("1")
    link = folder / "link"
    link.symlink_to(outside)
    watched = folder / "watched"
    listen(conversation, uri_of(outside), uri_of(link), uri_of(watched))
    outside.write_text("22")
    watched.write_text("1")
    assert told_of(conversation) == uri_of(watched)
    assert not conversation.settle()
    outside.unlink()


@over(LATEST_HANDSHAKE)
def test_a_session_that_unsubscribed_is_told_no_more(conversation: Conversation, folder: Path) -> None:
    gone, kept = folder / "gone", folder / "kept"
    listen(conversation, uri_of(gone), uri_of(kept))
    conversation.result("resources/unsubscribe", {"uri": uri_of(gone)})
    gone.write_text("1")
    kept.write_text("1")
    assert told_of(conversation) == uri_of(kept)
    assert not conversation.settle()


@over(STATELESS, transports=("stdio",))
def test_watching_again_and_again_leaves_no_descriptor_open(conversation: Conversation, folder: Path) -> None:
    descriptors = f"/proc/{conversation.child.pid}/fd"
    counts = []
    for number in range(30):
        file = folder / f"{number}"
        listen(conversation, uri_of(file))
        file.write_text("1")
        assert told_of(conversation) == uri_of(file)
        counts.append(len(os.listdir(descriptors)))
    assert counts[-1] <= counts[1] + 2
