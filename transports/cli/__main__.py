"""`python -m transports.cli` is `tfo-mcp`.

The working directory, which Python puts before everything else, is taken off the import path: it may be a root. The
packages are found first, for a checkout that is not installed.
"""

import os
import sys

import app as _app  # noqa: F401 - found here, or nowhere
from transports.cli.main import main

if __name__ == "__main__":
    sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) != os.getcwd()]
    main()
