"""`tfo-mcp migrate`: create and change the tables of the database."""

from typing import Annotated

import typer

from tfo_mcp.bootstrap import Migration, TableRevision
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption

migrate = typer.Typer(name="migrate", help="Create and change the tables of the database.", no_args_is_help=True)


@migrate.command()
def up(config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Migrate the tables to the revision of this version; does nothing if they have it."""
    _show(Migration(settings_of(config)).up(), in_json)


@migrate.command()
def down(
    config: ConfigOption = None,
    confirmed: Annotated[bool, typer.Option("--yes", help="Confirm that the data of these tables is deleted.")] = False,
    in_json: JsonOption = False,
) -> None:
    """Undo the latest revision of the tables, with the data that only it has. Stop all servers first."""
    if not confirmed:
        raise typer.BadParameter("this deletes data: make a backup, then repeat the command with --yes")
    _show(Migration(settings_of(config)).down(), in_json)


@migrate.command()
def status(config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Show the revision of the tables."""
    _show(Migration(settings_of(config)).status(), in_json)


def _show(found: TableRevision, in_json: bool) -> None:
    if in_json:
        print(as_json({"database": found.database, "revision": found.revision, "problem": found.problem}))
        return
    revision = "no tables" if found.revision is None else f"revision {found.revision}"
    print(f"{found.database}: {revision}; {found.problem or 'up to date'}")
