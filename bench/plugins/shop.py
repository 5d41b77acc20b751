"""The tools of the shop workload as a plugin: the functions that the Python SDK serves, too."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from tfo_mcp.plugins import tool

sys.path.append(str(Path(__file__).parents[1] / "peers"))

for _function in import_module("shop_tools").TOOLS:
    globals()[_function.__name__] = tool(_function)
