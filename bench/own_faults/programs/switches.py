"""The switches of the services: a JSON file that the campaign writes, read again whenever it has changed."""

import json
import os
from pathlib import Path
from typing import Any

_FILE = Path(os.environ["SHOP_SWITCHES"])
_read: dict[str, Any] = {}


def switch(name: str, default: Any = False) -> Any:
    """Return the value of a switch."""
    changed = _FILE.stat().st_mtime_ns
    if _read.get("changed") != changed:
        _read.update(changed=changed, values=json.loads(_FILE.read_text()))
    return _read["values"].get(name, default)
