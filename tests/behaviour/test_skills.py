"""Skills: their list, entries, files and directories, and what never belongs to one."""

import hashlib
import os
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.skills import SkillsClientExtension

from tests.e2e.official_client import direct_client
from tests.support.conversations import Conversation
from tests.support.deadlines import wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS
from tests.support.processes import run_command
from tests.support.services import Services, services

EXTENSION = "io.modelcontextprotocol/skills"
INVALID_PARAMS, UNKNOWN_METHOD = -32602, -32601
ICON = bytes(range(256))
MARKED = "\ufeff# Früh\r\n".encode()
LARGE = "x" * 9_000_000


def document(name: str, *lines: str) -> str:
    return "\n".join(["---", f"name: {name}", "description: Says hello.", *lines, "---", "", "# Say hello", ""])


def write(directory: Path, name: str, *lines: str) -> Path:
    skill = directory / name
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text(document(name, *lines))
    return skill


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("skills")
    outside = place / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    first, second = place / "first", place / "second"
    greeting = write(first, "greeting", "released: 2026-01-31", "metadata: {level: 3, tags: [a, b]}")
    (greeting / "files" / "inner").mkdir(parents=True)
    (greeting / "files" / "icon.bin").write_bytes(ICON)
    (greeting / "files" / "früh & spät.md").write_bytes(MARKED)
    (greeting / "files" / "inner" / "empty.txt").touch()
    (greeting / ".hidden").write_text("secret")
    (greeting / "link.txt").symlink_to(outside / "secret.txt")
    (greeting / "outside").symlink_to(outside)
    os.mkfifo(greeting / "fifo")
    (greeting / "audit.jsonl").touch(0o600)
    (first / "linked").symlink_to(write(outside, "linked"))
    write(second, "greeting", "license: other")
    write(second, "bulky")
    write(second, "large")
    (second / "large" / "log.txt").write_text(LARGE)
    _write_invalid(second)
    return place


def _write_invalid(directory: Path) -> None:
    for name in ("Upper", "two--hyphens", "other-name"):
        write(directory, name)
    (directory / "other-name" / "SKILL.md").write_text(document("another"))
    for number in range(513):
        (directory / "bulky" / f"{number}.txt").touch()
    heavy = write(directory, "heavy")
    with (heavy / "hole").open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    for name, line in {
        "alias": "a: &a [x]\nb: *a",
        "twice": "license: a\nlicense: b",
        "infinite": "a: .inf",
        "number": 'a: !!int ""',
    }.items():
        write(directory, name, line)
    (write(directory, "no-frontmatter") / "SKILL.md").write_text("# Only text")
    (write(directory, "bytes") / "SKILL.md").write_bytes(b"---\nname: \xff\n---\n")
    (directory / "no-document").mkdir()
    (directory / "no-document" / "README.md").touch()
    os.symlink(directory / "large" / "SKILL.md", _emptied(write(directory, "linked-document")) / "SKILL.md")
    nested = write(directory, "nested")
    for _ in range(25):
        nested = nested / "d"
        nested.mkdir()


def _emptied(skill: Path) -> Path:
    (skill / "SKILL.md").unlink()
    return skill


@pytest.fixture(scope="module")
def served(place: Path) -> Iterator[Services]:
    audit = place / "first" / "greeting" / "audit.jsonl"
    settings = {
        "skills": {"directories": [str(place / "first"), str(place / "second")]},
        "security": {"anonymous": "read", "audit_file": str(audit)},
        "mcp": {"page_size": 2},
    }
    with services(settings) as running:
        yield running


@pytest.fixture(params=[LATEST_HANDSHAKE, STATELESS])
def conversation(served: Services, request: pytest.FixtureRequest) -> Iterator[Conversation]:
    with served.fresh("http", request.param) as opened:
        yield opened


def read(conversation: Conversation, uri: str) -> bytes:
    (contents,) = conversation.result("resources/read", {"uri": uri})["contents"]
    return contents["text"].encode() if "text" in contents else b64decode(contents["blob"])


def test_valid_skills_are_listed_in_pages_and_the_first_of_two_with_one_name(conversation: Conversation) -> None:
    skills = conversation.everything("skills/list", "skills")
    assert [skill["uri"] for skill in skills] == ["skill://greeting/SKILL.md", "skill://large/SKILL.md"]
    greeting = skills[0]
    assert greeting["frontmatter"] == {
        "name": "greeting",
        "description": "Says hello.",
        "released": "2026-01-31",
        "metadata": {"level": 3, "tags": ["a", "b"]},
    }
    assert conversation.result("skills/get", {"uri": greeting["uri"]})["skill"] == greeting


def test_the_manifest_holds_each_file_of_a_skill_with_its_digest_but_no_hidden_linked_or_protected_one(
    conversation: Conversation,
) -> None:
    skill = conversation.result("skills/get", {"uri": "skill://greeting/SKILL.md"})["skill"]
    assert [file["uri"].removeprefix("skill://greeting/") for file in skill["resources"]] == [
        "SKILL.md",
        "files/fr%C3%BCh%20&%20sp%C3%A4t.md",
        "files/icon.bin",
        "files/inner/empty.txt",
    ]
    for file in skill["resources"]:
        data = read(conversation, file["uri"])
        assert file["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert file["size"] == len(data)
    assert read(conversation, skill["resources"][1]["uri"]) == MARKED
    assert read(conversation, skill["resources"][2]["uri"]) == ICON


def test_a_file_of_several_megabytes_is_read_whole(conversation: Conversation) -> None:
    assert read(conversation, "skill://large/log.txt") == LARGE.encode()


@pytest.mark.parametrize(
    "path",
    [
        *(".hidden", "link.txt", "outside/secret.txt", "fifo", "audit.jsonl", "files", "missing", "%00", "%FF"),
        *("../greeting/SKILL.md", "../../outside/secret.txt", "files/../SKILL.md", "./SKILL.md", "/etc/passwd"),
        *("%2e%2e/%2e%2e/outside/secret.txt", "files//icon.bin", "SKILL.md/", "x" * 5000),
    ],
)
def test_nothing_else_is_read(conversation: Conversation, path: str) -> None:
    error = conversation.error("resources/read", {"uri": f"skill://greeting/{path}"})
    assert error["data"]["kind"] == "resource_not_found"
    for skill in ("linked", "linked-document", "bulky", "heavy", "..", "Upper"):
        error = conversation.error("resources/read", {"uri": f"skill://{skill}/SKILL.md"})
        assert error["data"]["kind"] == "resource_not_found"


def test_the_documents_are_among_the_resources(conversation: Conversation) -> None:
    resources = {resource["uri"]: resource for resource in conversation.everything("resources/list", "resources")}
    assert resources["skill://greeting/SKILL.md"] == {
        "uri": "skill://greeting/SKILL.md",
        "name": "greeting",
        "description": "Says hello.",
        "mimeType": "text/markdown",
    }
    assert "skill://bulky/SKILL.md" not in resources


def test_directories_are_read_level_by_level_in_pages(conversation: Conversation) -> None:
    def entries(uri: str) -> Any:
        found: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = conversation.result("resources/directory/read", {"uri": uri, **cursor})
            found += page["resources"]
            if "nextCursor" not in page:
                return found
            cursor = {"cursor": page["nextCursor"]}

    greeting = read(conversation, "skill://greeting/SKILL.md")
    top = entries("skill://greeting")
    assert top == entries("skill://greeting/")
    assert [entry["name"] for entry in top] == ["SKILL.md", "files"]
    assert (top[0]["size"], top[1]["mimeType"]) == (len(greeting), "inode/directory")
    assert [entry["name"] for entry in entries(top[1]["uri"])] == ["früh & spät.md", "icon.bin", "inner"]
    assert [entry["name"] for entry in entries("skill://greeting/files/inner")] == ["empty.txt"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        *(("skills/get", {"uri": uri}) for uri in ("skill://other/SKILL.md", "skill://greeting", "x", "")),
        *(("skills/get", params) for params in ({}, {"uri": 5}, {"uri": "x" * 100_000})),
        *(("skills/list", {"cursor": cursor}) for cursor in ("wrong", 5, "x" * 100_000)),
        *(("resources/directory/read", {"uri": uri}) for uri in ("skill://greeting/SKILL.md", "skill://", "file:///")),
        *(("resources/directory/read", {"uri": uri}) for uri in ("skill://greeting/..", "skill://greeting/outside")),
        *(("resources/directory/read", {"uri": "skill://greeting", "cursor": cursor}) for cursor in ("wrong", 5)),
    ],
)
def test_wrong_params_are_refused(conversation: Conversation, method: str, params: dict[str, Any]) -> None:
    assert conversation.error(method, params)["code"] == INVALID_PARAMS


def test_changes_of_files_are_seen_without_a_restart(served: Services, place: Path) -> None:
    file = write(place / "second", "new") / "note.txt"
    with served.fresh("http", STATELESS) as conversation:
        try:
            for text in ("one", "two", "six"):
                file.write_text(text)
                skill = conversation.result("skills/get", {"uri": "skill://new/SKILL.md"})["skill"]
                digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
                assert skill["resources"][1] == {"uri": "skill://new/note.txt", "digest": digest, "size": 3}
                assert read(conversation, "skill://new/note.txt") == text.encode()
            file.unlink()
            file.symlink_to(place / "outside" / "secret.txt")
            assert conversation.error("resources/read", {"uri": "skill://new/note.txt"})["data"]["kind"]
        finally:
            file.unlink()
            (place / "second" / "new" / "SKILL.md").unlink()
        assert conversation.error("skills/get", {"uri": "skill://new/SKILL.md"})["code"] == INVALID_PARAMS


def test_the_log_says_once_why_a_skill_is_left_out(served: Services, conversation: Conversation) -> None:
    for _ in range(2):
        conversation.result("skills/list")
    log = served.processes.network.child.stderr
    wait_until(lambda: "'another'" in log(), "the log names the skill")
    assert log().count("more than 512 files") == 1
    assert log().count("'another' must be the name of the directory") == 1


def test_the_skills_client_of_fastmcp_reads_them(served: Services) -> None:
    async def visit() -> Any:
        transport = StreamableHttpTransport(served.processes.network.url, httpx_client_factory=direct_client)
        async with Client(transport, extensions=[SkillsClientExtension()]) as client:
            listed = await client.list_skills()
            return [skill.uri for skill in listed], await client.read_skill("skill://large/SKILL.md")

    uris, skill = anyio.run(visit)
    assert uris == ["skill://greeting/SKILL.md", "skill://large/SKILL.md"]
    assert skill.name == "large"


def test_older_revisions_know_no_skills(served: Services) -> None:
    with served.fresh("http", "2025-03-26") as conversation:
        assert conversation.error("skills/list")["code"] == UNKNOWN_METHOD


@pytest.mark.parametrize("revision", [LATEST_HANDSHAKE, STATELESS])
def test_the_extension_is_advertised_as_it_is_set(place: Path, revision: str) -> None:
    def advertised(skills: dict[str, Any]) -> tuple[Any, Any]:
        with services({"skills": skills}) as running, running.fresh("stdio", revision) as conversation:
            answer = conversation.result("server/discover") if conversation.stateless else conversation.initialized
            refused = [
                conversation.call(method, {"uri": "skill://greeting"}).get("error", {}).get("code") == UNKNOWN_METHOD
                for method in ("skills/list", "resources/directory/read")
            ]
            return answer["capabilities"]["extensions"].get(EXTENSION), refused

    first = [str(place / "first")]
    assert advertised({"directories": first}) == ({"directoryRead": True}, [False, False])
    assert advertised({"directories": first, "directory_read": False}) == ({}, [False, True])
    assert advertised({}) == (None, [True, True])


def test_a_directory_that_does_not_exist_is_refused_at_the_start(place: Path, tmp_path: Path) -> None:
    configuration = tmp_path / "tfo-mcp.yaml"
    configuration.write_text(f"skills: {{directories: [{place / 'missing'}]}}")
    ended = run_command("serve", "--config", configuration)
    assert ended.returncode == 2
    assert "skills.directories" in ended.stderr
    assert "cannot be opened as a directory" in ended.stderr
