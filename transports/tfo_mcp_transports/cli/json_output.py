"""JSON on standard output, for programs: values of commands with `--json`.

Names in values can come from clients and senders of telemetry: nothing in them controls the terminal.
"""

import json

from tfo_mcp.bootstrap import escaped


def as_json(value: object) -> str:
    """Return a value as JSON, indented for a person."""
    return "\n".join(map(escaped, json.dumps(value, indent=2, ensure_ascii=False).split("\n")))


def json_line(value: object) -> str:
    """Return a value as JSON on one line, for values that are printed one after the other."""
    return escaped(json.dumps(value, ensure_ascii=False))
