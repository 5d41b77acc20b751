"""The entry point of the installed command.

Imports the application with the garbage collector disabled: imported objects are never garbage, and scanning them
repeatedly takes a fifth of the start-up time. Afterwards they are frozen, so that later collections skip them. The
working directory comes last on the import path, because it can be a root that clients write to.
"""

import gc
import os
import sys
from collections.abc import Callable
from types import ModuleType

from tfo_mcp_transports.cli.standard_streams import prepare_standard_streams


def _import_structlog() -> None:
    """Import structlog without its console renderer, which would import rich, pygments and attrs for tracebacks."""
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules["rich"] = None
    import structlog  # noqa: F401

    del modules["rich"]


def import_application() -> Callable[[], None]:
    """Import the application and return the function that runs the command line."""
    gc.disable()
    _import_structlog()
    from tfo_mcp_transports.cli.application import run

    gc.enable()
    gc.freeze()
    gc.collect()  # sets the baseline: a full collection runs when the objects have grown by a quarter
    return run


def main() -> None:
    """Run the command line."""
    prepare_standard_streams()
    here = os.path.realpath(os.curdir)
    sys.path.sort(key=lambda entry: os.path.realpath(entry) == here)  # stable: keeps the order of the others
    import_application()()
