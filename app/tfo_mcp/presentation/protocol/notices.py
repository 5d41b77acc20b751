"""Notices: maps changes to the notifications that report them. The method names are the same in both eras."""

from typing import Any

from tfo_mcp.domain.events import Change, ResourceUpdated, Topic

_METHODS: dict[Topic, str] = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
    "resource": "notifications/resources/updated",
}


def change_notice(change: Change) -> tuple[str, dict[str, Any] | None]:
    """Return the method and the params of the notification that reports `change`."""
    params = {"uri": change.uri} if isinstance(change, ResourceUpdated) else None
    return _METHODS[change.topic], params
