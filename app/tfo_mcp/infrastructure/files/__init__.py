"""Files beneath the configured roots: the FileStore adapter, and what watches them.

`rooted` fulfils the port with `reading`, `writing`, `placing` and `finding`; `at_hand` reads what needs no thread;
`beneath` opens without ever leaving a root; `ripgrep` searches; `watching` tells of changes; `wording` puts paths and
failures into words. Nothing here knows a tool, or a setting other than by the name that an error gives.
"""

from tfo_mcp.infrastructure.files.store import FileLimits, RootedFiles
from tfo_mcp.infrastructure.files.watcher import WatchedFiles

__all__ = ["FileLimits", "RootedFiles", "WatchedFiles"]
