"""`tfo-mcp init-config`: write a configuration file with every setting, its default and its meaning."""

from pathlib import Path
from typing import Annotated

import typer


def init_config(
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; - for standard output.")] = Path(
        "tfo-mcp.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a configuration file with every setting, its default and its meaning."""
    from tfo_mcp.bootstrap import ConfigurationError, render_yaml

    text = render_yaml()
    if str(output) == "-":
        typer.echo(text, nl=False)
        return
    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except (FileExistsError, IsADirectoryError):
        if output.is_dir():
            raise ConfigurationError((f"{output} is a directory: name a file",)) from None
        raise ConfigurationError((f"{output} exists: give --force to overwrite it",)) from None
    except OSError as problem:
        raise ConfigurationError((f"{output} cannot be written: {problem.strerror}",)) from None
    typer.echo(f"Wrote {output}")
