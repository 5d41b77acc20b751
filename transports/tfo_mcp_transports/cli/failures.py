"""The failure of a sub-command: its message, its exit code, and what `--json` prints of it.

A sub-command raises it; `exit_codes` prints the message and ends the process, `json_failures` prints the JSON. Imported
by every start, so it needs the standard library only.
"""

from collections.abc import Mapping


class CommandFailed(Exception):
    """A command has failed; the message gives the reason.

    Args:
        reason: the text for standard error.
        code: the exit code.
        report: what `--json` prints; by default an object whose `problem` is the reason.
    """

    def __init__(self, reason: str, code: int = 1, report: Mapping[str, object] | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.report = report
