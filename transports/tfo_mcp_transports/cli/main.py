"""The entry point of the installed command.

Imports the application with the garbage collector disabled: imported objects are never garbage, and scanning them
repeatedly takes a fifth of the start-up time. Afterwards they are frozen, so that later collections skip them. The
working directory comes last on the import path, because it can be a root that clients write to.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType

from tfo_mcp_transports.cli.standard_streams import prepare_standard_streams


def _import_structlog() -> None:
    """Import structlog without its console renderer, which would import rich, pygments and attrs for tracebacks."""
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules["rich"] = None
    import structlog  # noqa: F401

    del modules["rich"]


@contextmanager
def _without_pydantic_plugins() -> Iterator[None]:
    """Keep pydantic from looking for its plugins in all installed packages until a model of others is defined."""
    name = "PYDANTIC_DISABLE_PLUGINS"
    chosen = os.environ.get(name)
    os.environ[name] = "__all__"
    try:
        yield
    finally:
        if chosen is None:
            del os.environ[name]
        else:
            os.environ[name] = chosen


def _command(arguments: Sequence[str]) -> Callable[[], None]:
    if arguments[:1] == ["serve"]:
        from tfo_mcp_transports.cli.plain_options import plain_options
        from tfo_mcp_transports.cli.service import run_server

        if (options := plain_options(arguments[1:])) is not None:
            return partial(run_server, **options)
    from tfo_mcp_transports.cli.application import command_line

    return command_line(arguments)


def import_application(arguments: Sequence[str]) -> Callable[[], None]:
    """Import what the arguments of the command line ask for; return the function that runs it and exits the process."""
    gc.disable()
    _import_structlog()
    with _without_pydantic_plugins():
        work = _command(arguments)
        from tfo_mcp_transports.cli.exit_codes import exit_process
    gc.enable()
    gc.freeze()
    gc.collect()  # sets the baseline: a full collection runs when the objects have grown by a quarter
    return partial(exit_process, work)


def main() -> None:
    """Run the command line."""
    prepare_standard_streams()
    here = os.path.realpath(os.curdir)
    sys.path.sort(key=lambda entry: os.path.realpath(entry) == here)  # stable: keeps the order of the others
    import_application(sys.argv[1:])()
