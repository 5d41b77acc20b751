"""Turns the command line, the environment and the file into layers of values, one layer per source.

Owns the names of sources, the decoding of environment variables and the detection of unknown settings. A layer holds
raw values; `loader` validates them with the model. Problems must not contain values, only names of settings and of
sources.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from tfo_mcp.infrastructure.config.reference import CONFIG_VARIABLE, PREFIX, Setting, sections, settings_by_name
from tfo_mcp.infrastructure.config.settings import Settings

COMMAND_LINE = "command line"
_BRACKETED_ADDRESS = re.compile(r"\[[0-9A-Fa-f:.]+\]")


class Layer:
    """The values of one source by section and key, and the problems found while reading it."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.values: dict[str, dict[str, object]] = {}
        self._origins: dict[str, str] = {}
        self.ignored: dict[str, str] = {}
        """Why the value of another program's variable is not used, by the name of the setting."""

    def add(self, setting: Setting, value: object, origin: str) -> None:
        """Add a value; `origin` names its source in problems."""
        self.values.setdefault(setting.section, {})[setting.key] = value
        self._origins[setting.name] = origin

    def origin(self, name: str) -> str | None:
        """Return the name of the source of a setting, None if this layer does not set it."""
        return self._origins.get(name)


def command_line_layer(overrides: Mapping[str, Mapping[str, object]]) -> Layer:
    """Return the layer of the command line; None marks an option that was not given."""
    given = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in overrides.items()
    }
    return mapping_layer(given, COMMAND_LINE)


def mapping_layer(content: Mapping[Any, Any], origin: str) -> Layer:
    """Return the layer of a mapping of sections; an empty section (null) sets nothing."""
    layer = Layer()
    known_sections = {section.name for section in sections()}
    for section, values in content.items():
        if section not in known_sections:
            layer.problems.append(_unknown(origin, str(section)))
        elif isinstance(values, Mapping):
            for key, value in values.items():
                setting = settings_by_name().get(f"{section}.{key}")
                if setting is None:
                    layer.problems.append(_unknown(origin, f"{section}.{key}"))
                else:
                    layer.add(setting, value, origin)
        elif values is not None:
            layer.problems.append(f"{origin}: '{section}' must be a mapping of settings")
    return layer


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Return the layer of the environment: the product's variables, and those that `AlsoFrom` names.

    The latter may be meant for other programs, so that a value which the setting does not accept is ignored.
    """
    layer = Layer()
    known = {CONFIG_VARIABLE}
    for setting in settings_by_name().values():
        known.update(setting.variables)
        variable = next((name for name in setting.variables if _is_set(setting, name, environ)), None)
        if variable is None:
            continue
        value: object = environ[variable]
        if setting.is_list:
            value = _decode_list(environ[variable])
            if value is None:
                layer.problems.append(
                    f"{variable}: '{setting.name}' must be {setting.accepts}, as a JSON array or separated by commas"
                )
                continue
        if variable.startswith(PREFIX) or _is_accepted(setting, value):
            layer.add(setting, value, variable)
        else:
            layer.ignored[setting.name] = f"{variable}: '{setting.name}' must be {setting.accepts}"
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and name not in known):
        nearest = _nearest(variable.removeprefix(PREFIX), (name.removeprefix(PREFIX) for name in known))
        layer.problems.append(f"{variable}: unknown variable (did you mean '{PREFIX}{nearest}'?)")
    return layer


def _is_set(setting: Setting, name: str, environ: Mapping[str, str]) -> bool:
    """Return whether a variable sets a value.

    A blank variable does not, if its setting is optional or if it lacks the product's prefix.
    """
    text = environ.get(name)
    if text is None or text.strip():
        return text is not None
    return name.startswith(PREFIX) and not setting.is_optional


def _is_accepted(setting: Setting, value: object) -> bool:
    try:
        Settings.model_validate({setting.section: {setting.key: value}})
    except ValidationError:
        return False
    return True


def _decode_list(text: str) -> list[Any] | None:
    """Return the items of a JSON array or of a comma-separated text, None for an invalid array."""
    if text.lstrip().startswith("[") and not _BRACKETED_ADDRESS.match(text.lstrip()):
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return items if isinstance(items, list) else None
    return [item.strip() for item in text.split(",") if item.strip()]


def _unknown(origin: str, name: str) -> str:
    """Return the problem of an unknown setting, which suggests the same key of another section or a similar name."""
    known = settings_by_name()
    if "." not in name and name not in {setting.key for setting in known.values()}:
        return f"{origin}: unknown section '{name}' (did you mean '{_nearest(name, (s.name for s in sections()))}'?)"
    key = name.rpartition(".")[2]
    same_key = [full for full, setting in known.items() if setting.key == key]
    return f"{origin}: unknown setting '{name}' (did you mean '{_nearest(name, same_key or known)}'?)"


def _nearest(name: str, known: Iterable[str]) -> str:
    return difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)[0]
