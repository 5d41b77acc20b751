"""Runs the command `tfo-mcp` as `python -m tfo_mcp`.

Python puts the working directory first on the import path. It is removed, since it may be a root that callers can
write to. The command belongs to the transports package, which this package must not import statically, so it is
imported by name.
"""

import os
import sys
from importlib import import_module

if __name__ == "__main__":
    command = import_module("tfo_mcp_transports.cli.main")
    sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) != os.getcwd()]
    command.main()
