"""Loads the settings: command line over environment over file over defaults; reports all problems at once.

Owns the precedence and the choice of the file. `sources` supplies values, the model validates them, and this module
names the source of each invalid value. Problems must not contain configured values.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tfo_mcp.infrastructure.config.errors import ConfigurationError
from tfo_mcp.infrastructure.config.reference import CONFIG_VARIABLE, DEFAULT_FILE, settings_by_name
from tfo_mcp.infrastructure.config.settings import Settings
from tfo_mcp.infrastructure.config.sources import Layer, command_line_layer, environment_layer, mapping_layer


def load(
    config: Path | None = None,
    overrides: Mapping[str, Mapping[str, object]] = {},
    environ: Mapping[str, str] = os.environ,
    *,
    looks_for_file: bool = True,
) -> Settings:
    """Return the settings of this process.

    Args:
        config: The file named on the command line. If None, TELEMETRYFLOW_MCP_CONFIG names the file; if that is not
            set, it is `tfo-mcp.yaml` in the working directory, if that exists.
        overrides: Values of the command line by section and key; None marks an option that was not given.
        environ: The environment variables.
        looks_for_file: Whether to look for a file if `config` is None. A reload does not: a file that was created
            after the start may belong to somebody else.

    Raises:
        ConfigurationError: with every problem that was found.
    """
    path = config
    if path is None and looks_for_file:
        path = _file_of_environment(environ) or _file_of_directory()
    layers = (command_line_layer(overrides), environment_layer(environ), _file_layer(path))
    problems = [problem for layer in layers for problem in layer.problems]
    source = None if path is None else Path(os.path.realpath(path))  # `Path.resolve` fails on loops of links
    try:
        ignored = {name: problem for layer in layers for name, problem in layer.ignored.items()}
        metadata = {"source": source, "origins": _origins(layers), "ignored": ignored}
        settings = Settings.model_validate({**_merged(layers), **metadata})
    except ValidationError as error:
        problems += _wrong_values(error, layers)
    if problems:
        raise ConfigurationError(tuple(problems))
    return settings


def _merged(layers: Sequence[Layer]) -> dict[str, dict[str, object]]:
    """Return the values of all layers by section and key; the first layer has the highest precedence."""
    merged: dict[str, dict[str, object]] = {}
    for layer in reversed(layers):
        for section, values in layer.values.items():
            merged.setdefault(section, {}).update(values)
    return merged


def _origins(layers: Sequence[Layer]) -> dict[str, str]:
    """Return the source of each value that is not a default: the layer of the highest precedence that sets it."""
    found: dict[str, str] = {}
    for name in settings_by_name():
        origin = next((origin for layer in layers if (origin := layer.origin(name)) is not None), None)
        if origin is not None:
            found[name] = origin
    return found


def _file_of_environment(environ: Mapping[str, str]) -> Path | None:
    return Path(name) if (name := environ.get(CONFIG_VARIABLE)) else None


def _file_of_directory() -> Path | None:
    return Path(DEFAULT_FILE) if os.path.lexists(DEFAULT_FILE) else None


def _file_layer(path: Path | None) -> Layer:
    if path is None:
        return Layer()
    from tfo_mcp.infrastructure.config import yaml_file  # imports PyYAML, which most starts do not need

    try:
        return mapping_layer(yaml_file.read(path), str(path))
    except ConfigurationError as error:
        layer = Layer()
        layer.problems.extend(error.problems)
        return layer


def _wrong_values(error: ValidationError, layers: Sequence[Layer]) -> list[str]:
    """Return one problem per invalid setting: its source and the values that it accepts, but not its value."""
    refused: dict[str, list[Any]] = {}
    for detail in error.errors(include_url=False, include_context=False):
        refused.setdefault(".".join(map(str, detail["loc"][:2])), []).append(detail)
    return [_wrong_value(name, details, layers) for name, details in refused.items()]


def _wrong_value(name: str, details: Sequence[Any], layers: Sequence[Layer]) -> str:
    origin = next(origin for layer in layers if (origin := layer.origin(name)) is not None)
    items = {str(detail["loc"][2] + 1): detail["input"] for detail in details if len(detail["loc"]) > 2}
    hint = ""
    if items and all(item == "" for item in items.values()):
        hint = f" (item {', '.join(items)} is empty)"
    elif items:
        hint = f" (look at item {', '.join(items)})"
    elif details[0]["type"] == "string_type" and isinstance(details[0]["input"], int | float):
        hint = " (put it in quotes)"
    return f"{origin}: '{name}' must be {settings_by_name()[name].accepts}{hint}"
