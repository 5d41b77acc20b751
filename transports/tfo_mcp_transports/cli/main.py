"""The installed command.

Imports the application with the garbage collector off: nothing that is imported is ever garbage, and looking through it
again and again is a fifth of the start-up time. Afterwards what is there is left out of all later collections. Nothing
is imported from the working directory that could be imported from elsewhere: it may be a root.
"""

import gc
import os
import sys


def main() -> None:
    """Run the command line."""
    here = os.path.realpath(os.curdir)
    sys.path.sort(key=lambda entry: os.path.realpath(entry) == here)  # keeps the order of all others
    gc.disable()
    from tfo_mcp_transports.cli.application import run

    gc.enable()
    gc.freeze()
    gc.collect()  # counts what is left: full collections come when that has grown by a quarter
    run()
