"""`tfo-mcp migrate`: create and change the tables of the database."""

from typing import Annotated

import typer

from tfo_mcp.bootstrap import Migration
from tfo_mcp_transports.cli.options import ConfigOption, settings_of

migrate = typer.Typer(name="migrate", help="Create and change the tables of the database.", no_args_is_help=True)


@migrate.command()
def up(config: ConfigOption = None) -> None:
    """Migrate the tables to the revision of this version; does nothing if they have it."""
    print(Migration(settings_of(config)).up())


@migrate.command()
def down(
    config: ConfigOption = None,
    confirmed: Annotated[bool, typer.Option("--yes", help="Confirm that the data of these tables is deleted.")] = False,
) -> None:
    """Undo the latest revision of the tables, with the data that only it has. Stop all servers first."""
    if not confirmed:
        raise typer.BadParameter("this deletes data: make a backup, then repeat the command with --yes")
    print(Migration(settings_of(config)).down())


@migrate.command()
def status(config: ConfigOption = None) -> None:
    """Show the revision of the tables."""
    print(Migration(settings_of(config)).status())
