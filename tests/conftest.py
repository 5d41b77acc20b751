"""What every process of the tests needs, before any test."""

import os
import signal
from tempfile import mkdtemp

signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests in the background has it ignored
if "PYTEST_XDIST_WORKER" not in os.environ or "XDG_STATE_HOME" not in os.environ:
    os.environ["XDG_STATE_HOME"] = mkdtemp(prefix="tfo-mcp-state-")  # no test writes into the home of who runs it
