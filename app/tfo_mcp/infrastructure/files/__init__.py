"""Files beneath the configured roots: the adapters of the ports FileStore and FileWatcher.

`store` implements FileStore with `read`, `write`, `move_delete` and `listing`; `cached_read` reads without a thread;
`path_resolution` opens files without ever leaving a root; `ripgrep` searches; `watcher` reports changes;
`error_messages` words paths and failures. Must not know tools, nor settings except by their names in errors.
"""

from tfo_mcp.infrastructure.files.store import FileLimits, RootedFiles
from tfo_mcp.infrastructure.files.watcher import WatchedFiles

__all__ = ["FileLimits", "RootedFiles", "WatchedFiles"]
