"""Tool selection: decides which tools a server offers, by preset and by name. Knows no setting and no built-in tool."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from tfo_mcp.domain.tool import Tool
from tfo_mcp.value_objects import value_object


@value_object
class ToolSelection:
    """The tools to offer.

    `preset` decides which tools are offered whatever their name, None for all of them. `enabled` are patterns of names
    to offer in addition to the preset; without a preset, only these. `disabled` takes precedence over both.
    """

    preset: Callable[[Tool], bool] | None = None
    enabled: Sequence[str] = ()
    disabled: Sequence[str] = ()

    def offers(self, tool: Tool) -> bool:
        """Return whether the tool is offered."""
        if _matches(self.disabled, tool.name):
            return False
        if _matches(self.enabled, tool.name):
            return True
        return not self.enabled if self.preset is None else self.preset(tool)

    def unmatched(self, names: Sequence[str]) -> list[str]:
        """Return the patterns that match none of these names of tools."""
        patterns = (*self.enabled, *self.disabled)
        return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]


def _matches(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
