"""`python -m tfo_mcp` is the command `tfo-mcp`.

The working directory, which Python puts before everything else, is taken off the import path: it may be a root. The
command is a transport, which this package does not import: it is found by its name.
"""

import os
import sys
from importlib import import_module

if __name__ == "__main__":
    command = import_module("tfo_mcp_transports.cli.main")
    sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) != os.getcwd()]
    command.main()
