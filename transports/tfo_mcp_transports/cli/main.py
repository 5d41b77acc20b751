"""The entry point of the installed command.

Imports the application with the garbage collector disabled: imported objects are never garbage, and scanning them
repeatedly takes a fifth of the start-up time. Afterwards they are frozen, so that later collections skip them. The
working directory comes last on the import path, because it can be a root that clients write to.
"""

import gc
import os
import sys


def main() -> None:
    """Run the command line."""
    here = os.path.realpath(os.curdir)
    sys.path.sort(key=lambda entry: os.path.realpath(entry) == here)  # stable: keeps the order of the others
    gc.disable()
    from tfo_mcp_transports.cli.application import run

    gc.enable()
    gc.freeze()
    gc.collect()  # sets the baseline: a full collection runs when the objects have grown by a quarter
    run()
