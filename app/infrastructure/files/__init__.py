"""Files beneath the configured roots: the FileStore adapter.

`rooted` fulfils the port, `beneath` opens without ever leaving a root, `tree` lists and matches, `wording` puts paths
and failures into words. Nothing here knows a tool, or a setting other than by the name that an error gives.
"""

from app.infrastructure.files.rooted import RootedFiles

__all__ = ["RootedFiles"]
