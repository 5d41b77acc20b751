"""ClientFiles: the file store of one call, beneath the directories that its client lists. Owns nothing."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from tfo_mcp.application.ports import FileRoot, FileStore


class ClientFiles:
    """Finds the client's store when an operation needs it, and passes the operation on.

    Args:
        store: yields the store of the client's directories.
        configured: the configured roots, for descriptions.
    """

    def __init__(
        self, store: Callable[[], AbstractAsyncContextManager[FileStore]], configured: Sequence[FileRoot]
    ) -> None:
        self._store = store
        self.roots = configured

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        async def run(*arguments: Any, **options: Any) -> Any:
            async with self._store() as store:
                return await getattr(store, operation)(*arguments, **options)

        return run
