"""`tfo-mcp keys`: create, list, rotate, revoke, export and import API keys."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from tfo_mcp.bootstrap import KeyAdministration, Settings, key_administration
from tfo_mcp.presentation.server import scope_names
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.failures import CommandFailed
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption

keys = typer.Typer(name="keys", help="Create, list, rotate, revoke, export and import API keys.", no_args_is_help=True)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
ResultT = TypeVar("ResultT")

_KeyId = Annotated[str, typer.Argument(help="Id of the key: the second field of its text.", metavar="ID")]

_File = Annotated[Path, typer.Argument(help="File of keys.", metavar="FILE")]


def _duration(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise typer.BadParameter("write a number and one of s, m, h, d, w, as in 90d")
    return int(found[1]) * _UNITS[found[2]]


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="Name of the key: its owner or its purpose.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Scope that the key grants; repeat it for several: {', '.join(scope_names())}. Default: "
            f"{', '.join(scope_names(reading=True))}.",
            show_default=False,
        ),
    ] = None,
    expires: Annotated[
        float | None,
        typer.Option(parser=_duration, metavar="TIME", help="Lifetime of the key, as in 90d.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    in_json: JsonOption = False,
) -> None:
    """Create a key. It is printed once, alone on the last line; with --json, in `key`."""
    _show(_run(settings_of(config), lambda administration: administration.create(name, scope or [], expires)), in_json)


@keys.command("list")
def list_keys(
    config: ConfigOption = None,
    in_json: JsonOption = False,
) -> None:
    """List all keys, including expired and revoked ones."""
    found = _run(settings_of(config), lambda administration: administration.list())
    if in_json:
        print(as_json(found))
        return
    for key in found:
        until = "does not expire" if key["expires"] is None else f"expires {_time(key['expires'])}"
        print(f"{key['id']}  {key['status']:<8} {until:<29} {' '.join(key['scopes'])}  {key['name']}")
    if not found:
        print("There are no keys: create one with `tfo-mcp keys create --name NAME`")


@keys.command()
def revoke(key_id: _KeyId, config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Revoke a key at once; its open calls and connections end within seconds."""
    _run(settings_of(config), lambda administration: administration.revoke(key_id))
    _report({"revoked": key_id}, f"The key {key_id} is revoked", in_json=in_json)


@keys.command()
def rotate(
    key_id: _KeyId,
    grace: Annotated[
        float, typer.Option(parser=_duration, metavar="TIME", help="How long the old key remains valid.")
    ] = "24h",  # type: ignore[assignment]
    config: ConfigOption = None,
    in_json: JsonOption = False,
) -> None:
    """Replace a key; the old one remains valid for a while. The new key is printed once, alone on the last line."""
    _show(_run(settings_of(config), lambda administration: administration.rotate(key_id, grace)), in_json)


@keys.command("export")
def export_keys(path: _File, config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Write all keys to a new file that only its owner may read. It has digests, from which no key can be made."""
    count = _run(settings_of(config), lambda administration: administration.export(path))
    _report({"written": count, "file": str(path)}, f"{count} keys written to {path}", in_json=in_json)


@keys.command("import")
def import_keys(path: _File, config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Add the keys of a file: of `keys export`, or the key file of a server. Keys that exist stay as they are."""
    added, kept = _run(settings_of(config), lambda administration: administration.import_keys(path))
    _report({"added": added, "kept": kept}, f"{added} keys added; {kept} were there already", in_json=in_json)


def _run(settings: Settings, work: Callable[[KeyAdministration], Awaitable[ResultT]]) -> ResultT:
    async def run() -> ResultT:
        async with key_administration(settings) as administration:
            return await work(administration)

    try:
        return asyncio.run(run())
    except OSError as problem:
        raise CommandFailed(f"the file cannot be written: {problem}") from None


def _show(issued: dict[str, Any], in_json: bool) -> None:
    if in_json:
        print(as_json(issued))
        return
    until = "does not expire" if issued["expires"] is None else f"expires {_time(issued['expires'])}"
    print(f"Key {issued['id']} for {issued['name']}: {' '.join(issued['scopes'])}; {until}.")
    print("Save it now, it is not shown again:")
    print(issued["key"])


def _report(facts: dict[str, Any], sentence: str, *, in_json: bool) -> None:
    print(as_json(facts) if in_json else sentence)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
