"""Exit codes: runs the work of a process, and prints known errors as one line instead of a traceback."""

import errno
import os
import signal
from collections.abc import Callable
from typing import NoReturn

from tfo_mcp.bootstrap import ConfigurationError, PluginError
from tfo_mcp_transports.cli.failures import CommandFailed
from tfo_mcp_transports.cli.signals import Terminated
from tfo_mcp_transports.cli.standard_streams import complain, flush_standard_streams
from tfo_mcp_transports.descriptors import StreamsClosedError

_OUTPUT_FAILED = (errno.EPIPE, errno.ENOSPC, errno.EIO)


def exit_process(work: Callable[[], object]) -> NoReturn:
    """Do the work and exit the process, even if a thread of a tool never ends.

    The exit code is 1 if the reader of standard output has left before the end.
    """
    os._exit(exit_code_of(work))


def exit_code_of(work: Callable[[], object]) -> int:
    """Return the exit code of the process after its work.

    2 after a known error, that of a failed command, 130 after Ctrl+C, 1 if the output cannot be written.
    """
    code: object = 0
    try:
        work()
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except (CommandFailed, ConfigurationError, PluginError, StreamsClosedError) as problem:
        if isinstance(problem.__cause__, Terminated):
            code = problem.__cause__.code  # the signal came while a plugin was imported
        else:
            complain(str(problem))
            code = problem.code if isinstance(problem, CommandFailed) else 2
    except OSError as problem:
        if problem.errno not in _OUTPUT_FAILED:
            raise
        code = 1
        if problem.errno != errno.EPIPE:  # as in `tfo-mcp list tools | head -1`
            complain(f"the output cannot be written: {problem.strerror}")
    if not flush_standard_streams() and not code:
        code = 1
    return code if isinstance(code, int) else 0
