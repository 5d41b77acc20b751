"""Lists every setting of the model: name, environment variables, default, meaning, accepted values.

Owns the public names of settings and the words for their accepted values. Must not know files or configured values.
`loading`, `redaction` and `documentation` look settings up here.
"""

from functools import cache
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tfo_mcp.infrastructure.config.sections import Section
from tfo_mcp.infrastructure.config.settings import Settings
from tfo_mcp.infrastructure.config.shapes import Accepts, AlsoFrom
from tfo_mcp.value_objects import value_object

PREFIX = "TELEMETRYFLOW_MCP_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
DEFAULT_FILE = "tfo-mcp.yaml"


@value_object
class Setting:
    """One setting; `variables` are its environment variables, highest precedence first."""

    section: str
    key: str
    meaning: str
    accepts: str
    default: Any
    variables: tuple[str, ...]
    is_list: bool
    is_optional: bool
    is_secret: bool

    @property
    def name(self) -> str:
        """The dotted name, e.g. `server.port`."""
        return f"{self.section}.{self.key}"


@value_object
class SectionReference:
    """One section with its settings in the order of the model."""

    name: str
    meaning: str
    settings: tuple[Setting, ...]


@cache
def sections() -> tuple[SectionReference, ...]:
    """Return every section in the order of the model."""
    models = {name: field.annotation for name, field in Settings.model_fields.items()}
    return tuple(
        SectionReference(
            name, model.__doc__ or "", tuple(_setting(name, key, field) for key, field in model.model_fields.items())
        )
        for name, model in models.items()
        if isinstance(model, type) and issubclass(model, Section)
    )


@cache
def settings_by_name() -> dict[str, Setting]:
    """Return every setting by its dotted name."""
    return {setting.name: setting for section in sections() for setting in section.settings}


def _setting(section: str, key: str, field: FieldInfo) -> Setting:
    types = (field.annotation, *get_args(field.annotation))
    also = (mark.variable for mark in field.metadata if isinstance(mark, AlsoFrom))
    return Setting(
        section=section,
        key=key,
        meaning=field.description or "",
        accepts=_accepts(field),
        default=field.get_default(),
        variables=(f"{PREFIX}{section}_{key}".upper(), *also),
        is_list=any(get_origin(kind) is list for kind in types),
        is_optional=type(None) in types,
        is_secret=any(SecretStr in (kind, *get_args(kind)) for kind in types),
    )


def _accepts(field: FieldInfo) -> str:
    for mark in field.metadata:
        if isinstance(mark, Accepts):
            return mark.text
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(get_args(field.annotation))
    if field.annotation is int:
        return "a whole number" + _range(field)
    if field.annotation is float:
        return "a number" + _range(field)
    return "text"


def _range(field: FieldInfo) -> str:
    least = next((mark.ge for mark in field.metadata if isinstance(mark, Ge)), None)
    above = next((mark.gt for mark in field.metadata if isinstance(mark, Gt)), None)
    most = next((mark.le for mark in field.metadata if isinstance(mark, Le)), None)
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" of at least {least}"
    return f" above {above}" if above is not None else ""
