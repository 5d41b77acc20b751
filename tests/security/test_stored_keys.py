"""API keys in a database: the command line and running servers share them, on both engines."""

import json
import sqlite3
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import ENGINES, PEPPER, new_database
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.guarded import Guarded, guarded
from tests.support.processes import free_port, run_command

SEEN_WITHIN = 2.0


def tfo_mcp(settings: Mapping[str, Any], *arguments: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with these settings."""
    file, work = place / "command.yaml", place / "work"
    work.mkdir(exist_ok=True)
    file.write_text(json.dumps(settings))
    return run_command(*arguments, "--config", file, directory=work, variables={"COLUMNS": "200"}, seconds=3 * PATIENCE)


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest) -> str:
    return new_database(request.param, request)


@pytest.fixture
def gate(url: str, tmp_path: Path) -> Iterator[Guarded]:
    done = tfo_mcp({"storage": {"url": url}}, "migrate", "up", place=tmp_path)
    assert done.returncode == 0, done.stderr
    with guarded(tmp_path, storage={"url": url}, security={"key_pepper": PEPPER}) as running:
        yield running


class TestAdministration:
    def test_a_key_is_created_rotated_and_revoked_while_the_server_runs(self, gate: Guarded) -> None:
        old = gate.key("admin")
        assert gate.stateless(old, "tools/list").status_code == 200
        new = gate.keys("rotate", old.split("_")[1], "--grace", "1h").splitlines()[-1]
        for key in (old, new):
            assert gate.stateless(key, "tools/list").status_code == 200
        gate.keys("revoke", new.split("_")[1])
        wait_until(lambda: gate.stateless(new, "tools/list").status_code == 401, "it is revoked", SEEN_WITHIN)
        assert gate.stateless(old, "tools/list").status_code == 200
        found = {entry["id"]: entry["status"] for entry in json.loads(gate.keys("list", "--json"))}
        assert found == {old.split("_")[1]: "good", new.split("_")[1]: "revoked"}
        assert not (gate.place / "keys.json").exists()

    def test_the_text_of_a_key_and_the_password_are_nowhere(self, gate: Guarded, url: str) -> None:
        key = gate.key()
        assert gate.stateless(key, "tools/list").status_code == 200
        kept = gate.server.child.stderr().encode() + gate.keys("list").encode()
        kept += b"".join(path.read_bytes() for path in (gate.place / "state").glob("*"))
        settings = {"storage": {"url": url}, "security": {"key_pepper": PEPPER}}
        for line in (["info"], ["doctor", "--json"], ["migrate", "status"]):
            done = tfo_mcp(settings, *line, place=gate.place)
            kept += (done.stdout + done.stderr).encode()
        for secret in (key.encode(), key.split("_")[2].encode(), b"secret-of-the-tests"):
            assert secret not in kept

    def test_keys_move_from_a_file_to_the_database_and_back(self, url: str, tmp_path: Path) -> None:
        security = {"key_pepper": PEPPER, "keys_file": str(tmp_path / "keys.json"), "audit": False}
        in_file = {"security": security}
        in_database = {"security": security, "storage": {"url": url}}
        made = tfo_mcp(in_file, "keys", "create", "--name", "ada", place=tmp_path)
        key = made.stdout.splitlines()[-1]
        gone = tfo_mcp(in_file, "keys", "create", "--name", "gone", place=tmp_path).stdout.splitlines()[-1]
        tfo_mcp(in_file, "keys", "revoke", gone.split("_")[1], place=tmp_path)
        tfo_mcp(in_database, "migrate", "up", place=tmp_path)
        for source, said in (("keys.json", "2 keys added; 0 were"), ("keys.json", "0 keys added; 2 were")):
            done = tfo_mcp(in_database, "keys", "import", str(tmp_path / source), place=tmp_path)
            assert said in done.stdout, done.stderr
        exported = tmp_path / "exported.json"
        done = tfo_mcp(in_database, "keys", "export", str(exported), place=tmp_path)
        assert done.stdout.startswith("2 keys written"), done.stderr
        assert stat.S_IMODE(exported.stat().st_mode) == 0o600
        again = tfo_mcp(in_database, "keys", "export", str(exported), place=tmp_path)
        assert again.returncode == 1
        assert "exists" in again.stderr
        listed = [
            json.loads(tfo_mcp(each, "keys", "list", "--json", place=tmp_path).stdout)
            for each in (in_file, in_database)
        ]
        assert listed[0] == listed[1]
        (tmp_path / "keys.json").unlink()
        assert tfo_mcp(in_file, "keys", "import", str(exported), place=tmp_path).returncode == 0
        with guarded(tmp_path, security={"key_pepper": PEPPER}) as gate:
            assert gate.stateless(key, "tools/list").status_code == 200
            assert gate.stateless(gone, "tools/list").status_code == 401

    def test_keys_of_another_pepper_are_not_imported(self, url: str, tmp_path: Path) -> None:
        security = {"key_pepper": PEPPER, "audit": False, "keys_file": str(tmp_path / "keys.json")}
        tfo_mcp({"security": security}, "keys", "create", "--name", "ada", place=tmp_path)
        tfo_mcp({"security": security}, "keys", "export", str(tmp_path / "out.json"), place=tmp_path)
        other = {"security": {**security, "key_pepper": PEPPER[::-1]}, "storage": {"url": url}}
        tfo_mcp(other, "migrate", "up", place=tmp_path)
        done = tfo_mcp(other, "keys", "import", str(tmp_path / "out.json"), place=tmp_path)
        assert done.returncode == 2
        assert "hashed with another pepper" in done.stderr
        assert tfo_mcp(other, "keys", "list", "--json", place=tmp_path).stdout.strip() == "[]"


class TestMigration:
    def test_tables_are_created_kept_and_dropped(self, url: str, tmp_path: Path) -> None:
        settings = {"storage": {"url": url}, "security": {"key_pepper": PEPPER, "audit": False}}

        def said(*arguments: str) -> str:
            done = tfo_mcp(settings, "migrate", *arguments, place=tmp_path)
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert "no tables; the tables lack the revisions 1" in said("status")
        for _ in range(2):
            assert said("up").endswith("up to date\n")
        tfo_mcp(settings, "keys", "create", "--name", "ada", place=tmp_path)
        assert said("up").endswith("up to date\n")
        assert "ada" in tfo_mcp(settings, "keys", "list", place=tmp_path).stdout
        refused = tfo_mcp(settings, "migrate", "down", place=tmp_path)
        assert refused.returncode == 2
        assert "--yes" in refused.stderr
        while "no tables" not in said("down", "--yes"):
            assert "run `tfo-mcp migrate up`" in said("status")
        assert "no tables" in said("down", "--yes")
        said("up")
        assert "ada" not in tfo_mcp(settings, "keys", "list", place=tmp_path).stdout


class TestStart:
    def refused(
        self, storage: str, tmp_path: Path, *words: str, serves: bool = True, **sections: Mapping[str, Any]
    ) -> str:
        """Check that neither the server nor `keys` starts, and that they say why; return what `keys` says."""
        security = {"key_pepper": PEPPER, "audit": False}
        settings = {"storage": {"url": storage, "timeout_seconds": 5}, "security": security, **sections}
        serve = ["serve", "--transport", "http", "--port", str(free_port())]
        for line in ([serve] if serves else []) + [["keys", "list"]]:
            done = tfo_mcp(settings, *line, place=tmp_path)
            assert done.returncode == 2, done.stderr
            assert "Traceback" not in done.stderr
            for word in words:
                assert word in done.stderr
        return done.stderr

    def test_a_database_without_tables_says_what_to_run(self, postgres: Any, tmp_path: Path) -> None:
        self.refused(postgres.new_database(), tmp_path, "storage.url", "run `tfo-mcp migrate up`")

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (("secret-of-the-tests", "wrong-secret"), "password authentication failed"),
            (("/test", "/missing"), "does not exist"),
        ],
    )
    def test_a_server_that_refuses_is_named_without_the_password(
        self, postgres: Any, tmp_path: Path, change: tuple[str, str], words: str
    ) -> None:
        url = postgres.new_database().replace(*change)
        told = self.refused(url, tmp_path, "storage.url: postgresql://127.0.0.1", words, serves=False)
        assert "secret" not in told

    def test_keys_in_a_shared_database_need_a_shared_pepper(self, postgres: Any, tmp_path: Path) -> None:
        url = postgres.new_database()
        tfo_mcp({"storage": {"url": url}}, "migrate", "up", place=tmp_path)
        self.refused(url, tmp_path, "security.key_pepper must be set", security={"audit": False})

    def test_a_file_beneath_a_root_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "root" / "deep").mkdir(parents=True)
        (tmp_path / "link").symlink_to(tmp_path / "root" / "deep")
        files = {"roots": [str(tmp_path / "root")]}
        for place in ("root/tfo.db", "link/tfo.db", "root/deep/../tfo.db"):
            words = ("storage.url", "(files.roots)")
            self.refused(f"sqlite://{tmp_path}/{place}", tmp_path, *words, serves=False, files=files)
        assert list((tmp_path / "root").rglob("*.db*")) == []

    def test_a_file_that_cannot_be_used_says_why(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "open.db").touch(mode=0o644)
        (tmp_path / "open.db").chmod(0o644)
        (tmp_path / "text.db").write_text("this is no database, but a text of more than a hundred bytes" * 9)
        (tmp_path / "text.db").chmod(0o600)
        (tmp_path / "directory.db").mkdir(mode=0o700)
        for name, words in {
            "file/tfo.db": "it cannot be created",
            "open.db": "run chmod 600 on it",
            "text.db": "file is not a database",
            "directory.db": "it is not a file",
        }.items():
            self.refused(f"sqlite://{tmp_path}/{name}", tmp_path, "storage.url", words, serves=False)

    def test_a_file_of_a_newer_version_is_left_alone(self, tmp_path: Path) -> None:
        url = f"sqlite://{tmp_path}/tfo.db"
        assert tfo_mcp({"storage": {"url": url}}, "migrate", "up", place=tmp_path).returncode == 0
        with sqlite3.connect(tmp_path / "tfo.db") as connection:
            connection.execute("UPDATE tfo_schema_version SET version_num = '999'")
        connection.close()
        self.refused(url, tmp_path, "the revision 999 of a newer version of tfo-mcp")
        done = tfo_mcp({"storage": {"url": url}}, "migrate", "up", place=tmp_path)
        assert "newer version" in done.stdout

    def test_a_locked_file_says_so(self, tmp_path: Path) -> None:
        connection = sqlite3.connect(tmp_path / "tfo.db", isolation_level=None)
        (tmp_path / "tfo.db").chmod(0o600)
        connection.execute("BEGIN EXCLUSIVE")
        self.refused(f"sqlite://{tmp_path}/tfo.db", tmp_path, "storage.url", "database is locked")
        connection.close()

    def test_the_files_are_the_owners_alone_and_hidden_from_callers(self, tmp_path: Path) -> None:
        storage = {"url": f"sqlite://{tmp_path}/state/tfo.db", "timeout_seconds": 20}
        with guarded(tmp_path, storage=storage, security={"key_pepper": PEPPER}) as gate:
            assert gate.stateless(gate.key(), "tools/list").status_code == 200
            files = sorted((tmp_path / "state").iterdir())
            assert [file.name for file in files] == ["tfo.db", "tfo.db-shm", "tfo.db-wal"]
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
            assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
