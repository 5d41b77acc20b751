"""The files of MCP hosts on each platform. Knows neither their formats nor their entries."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tfo_mcp.value_objects import value_object

_DESKTOP_FILE = Path("Claude") / "claude_desktop_config.json"


class HostFileError(Exception):
    """No entry can be changed in the host's file; the file is unchanged."""


@value_object
class Locations:
    """What the files of a user depend on: the platform, as in `sys.platform`, the home directory, the environment."""

    platform: str
    home: Path
    variables: Mapping[str, str]

    @classmethod
    def here(cls) -> "Locations":
        """Return those of this process."""
        return cls(sys.platform, Path.home(), os.environ)

    @property
    def settings(self) -> Path:
        """The directory in which desktop programs of this user keep their settings."""
        if self.platform == "win32":
            return self.named("APPDATA") or self.home / "AppData" / "Roaming"
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return self.named("XDG_CONFIG_HOME") or self.home / ".config"

    @property
    def claude_desktop(self) -> Path:
        """The file of Claude Desktop. As a package of the Windows store it has a copy of the settings directory.

        Raises:
            HostFileError: there are several packages, and not one of them alone has a file.
        """
        usual = self.settings / _DESKTOP_FILE
        if self.platform != "win32":
            return usual
        local = self.named("LOCALAPPDATA") or self.home / "AppData" / "Local"
        packages = sorted((local / "Packages").glob("Claude_*"))
        files = [package / "LocalCache" / "Roaming" / _DESKTOP_FILE for package in packages]
        candidates = [file for file in files if file.exists()] or files
        if len(candidates) > 1:
            found = "".join(f"\n  {file}" for file in candidates)
            raise HostFileError(f"Claude Desktop is installed several times, so its file can be any of these:{found}")
        return candidates[0] if candidates else usual

    def named(self, variable: str) -> Path | None:
        """Return the directory that an environment variable names; None if it is unset or empty."""
        value = self.variables.get(variable)
        return Path(value) if value else None
