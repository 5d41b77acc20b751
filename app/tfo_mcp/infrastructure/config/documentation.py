"""Renders the reference of the settings: the annotated YAML file and the tables of docs/configuration.md.

Owns the layout; names, defaults and meanings come from `reference`, so that model, file and page cannot drift apart.
Must not read the settings in force: both texts are the same on every machine.
"""

import json
import textwrap
from pathlib import Path
from typing import cast

from tfo_mcp.infrastructure.config.claude_section import ModelPrice
from tfo_mcp.infrastructure.config.events_section import Webhook
from tfo_mcp.infrastructure.config.reference import PREFIX, SectionReference, Setting, sections
from tfo_mcp.infrastructure.config.shapes import OAuth, RootPath
from tfo_mcp.infrastructure.config.storage_section import StorageUrl

_WIDTH = 110
_UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (0, ""))
_HEADER = f"""\
Configuration of tfo-mcp: every setting with its default. Delete the lines that you do not change.

The server reads ./tfo-mcp.yaml, or the file that --config or {PREFIX}CONFIG names. Environment
variables {PREFIX}<SECTION>_<KEY>, e.g. {PREFIX}SERVER_PORT=9000, take
precedence over this file, and command-line options over both."""


def render_yaml() -> str:
    """Return a configuration file with every setting at its default, each with a comment."""
    parts = ["\n".join(f"# {line}".rstrip() for line in _HEADER.splitlines())]
    parts += [_yaml_section(section) for section in sections()]
    return "\n\n".join(parts) + "\n"


def render_markdown() -> str:
    """Return one table per section: setting, environment variable, default, meaning."""
    return "\n".join(_markdown_section(section) for section in sections())


def _yaml_section(section: SectionReference) -> str:
    lines = [f"# {section.meaning}", f"{section.name}:"]
    for setting in section.settings:
        lines += textwrap.wrap(_meaning(setting), _WIDTH, initial_indent="  # ", subsequent_indent="  # ")
        size = _size(setting)
        lines.append(f"  {setting.key}: {_literal(setting.default)}" + (f"  # {size}" if size else ""))
    return "\n".join(lines)


def _markdown_section(section: SectionReference) -> str:
    rows = [
        f"### {section.name}",
        "",
        section.meaning,
        "",
        "| setting | environment variable | default | meaning |",
        "|---|---|---|---|",
    ]
    for setting in section.settings:
        size = _size(setting)
        cells = (
            f"`{setting.name}`",
            ", then ".join(f"`{variable}`" for variable in setting.variables),
            "not set" if setting.default is None else f"`{_literal(setting.default)}`" + (f" ({size})" if size else ""),
            _meaning(setting),
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join((*rows, ""))


def _meaning(setting: Setting) -> str:
    """Return the meaning of a setting, followed by the values that it accepts unless it accepts any text."""
    if setting.accepts == "text":
        return setting.meaning
    return f"{setting.meaning} {setting.accepts[0].upper()}{setting.accepts[1:]}."


def _literal(value: object) -> str:
    """Return a value as JSON, which is also YAML; a float without a fraction becomes an integer."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> object:
    return (
        value.plain()
        if isinstance(value, RootPath | OAuth | StorageUrl | ModelPrice | Webhook)
        else Path.as_posix(cast(Path, value))
    )


def _size(setting: Setting) -> str:
    if not setting.key.endswith("_bytes") or not setting.default:
        return ""
    size, unit = next(unit for unit in _UNITS if setting.default >= unit[0])
    return f"{setting.default / size:g} {unit}"
