"""Files beneath the configured roots: the FileStore adapter, and what watches them.

`store` implements the port with `read`, `write`, `move_delete` and `listing`; `cached_read` reads without a thread;
`path_resolution` opens without ever leaving a root; `ripgrep` searches; `watcher` reports changes; `error_messages`
puts paths and failures into words. Nothing here knows a tool, or a setting other than by the name that an error gives.
"""

from tfo_mcp.infrastructure.files.store import FileLimits, RootedFiles
from tfo_mcp.infrastructure.files.watcher import WatchedFiles

__all__ = ["FileLimits", "RootedFiles", "WatchedFiles"]
