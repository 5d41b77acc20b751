"""Defines the value types of settings: hosts, origins, URLs, paths, module names, counts, durations.

Owns the validation of a single value and the words for the form that it accepts. Must not know setting names, files or
the environment; `sections` composes these types.
"""

import os
import re
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

_NAME = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"
_HOST = re.compile(rf"(?:{_NAME}|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?")
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>{_HOST.pattern})")
_ASYMMETRIC = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Accepts:
    """Annotates a setting with the words for the values that it accepts, e.g. `a list of module names`."""

    text: str


@dataclass(frozen=True, slots=True)
class RootPath:
    """A directory that files are served from; `read_only` forbids changes."""

    path: Path
    read_only: bool = False

    def plain(self) -> object:
        """Return the value as written in a configuration file: a path, or a mapping."""
        return {"path": self.path.as_posix(), "read_only": True} if self.read_only else self.path.as_posix()


@dataclass(frozen=True, slots=True)
class OAuth:
    """An authorization server whose tokens are accepted, and the URL of its public keys (JWKS)."""

    issuer: str
    audience: str
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256", "ES256")

    def plain(self) -> object:
        """Return the value as written in a configuration file: a mapping."""
        return {
            "issuer": self.issuer,
            "audience": self.audience,
            "jwks_url": self.jwks_url,
            "algorithms": list(self.algorithms),
        }


@dataclass(frozen=True, slots=True)
class AlsoFrom:
    """Annotates a setting that is also read from an environment variable without this product's prefix."""

    variable: str


def _refuse_boolean(value: object) -> object:
    if isinstance(value, bool):  # YAML's `yes` would pass as the number 1
        raise ValueError("a boolean is not a number")
    return value


def _blank_is_unset(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


def _host(value: str) -> str:
    text = value.lower()
    match = _HOST.fullmatch(text)
    if match is None or not _is_port(match["port"]):
        raise ValueError("not a host")
    return text


def _origin(value: str) -> str:
    text = value.lower()
    match = _ORIGIN.fullmatch(text)
    if match is None or not _is_port(match["port"]):
        raise ValueError("not an origin")
    return text.removesuffix(_DEFAULT_PORTS.get(match["scheme"], ""))  # as browsers send it


def _is_port(text: str | None) -> bool:
    return text is None or 0 < int(text) <= 65535


def _web_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("not a URL")
    return value


def _module_name(value: str) -> str:
    if not all(part.isidentifier() for part in value.split(".")):
        raise ValueError("not a module name")
    return value


def _path(value: object) -> object:
    if value == "" or (isinstance(value, str) and "\0" in value):  # Path("") would silently mean the working directory
        raise ValueError("not a path")
    return os.path.expanduser(value) if isinstance(value, str) else value


def _root(value: object) -> object:
    if isinstance(value, RootPath):
        return value
    if isinstance(value, str | Path):
        return {"path": _path(value)}
    if isinstance(value, dict) and set(value) <= {"path", "read_only"}:
        return {**value, "path": _path(value.get("path"))}
    raise ValueError("not a root")


def _oauth(value: object) -> object:
    if value is None or isinstance(value, OAuth):
        return value
    if not isinstance(value, dict) or not {"issuer", "audience", "jwks_url"} <= set(value):
        raise ValueError("not an authorization server")
    algorithms = value.get("algorithms", ["RS256", "ES256"])
    texts = [value["issuer"], value["audience"]]
    if (
        not set(value) <= {"issuer", "audience", "jwks_url", "algorithms"}
        or not all(isinstance(text, str) and text for text in texts)
        or not isinstance(algorithms, list | tuple)
        or not algorithms
        or not set(algorithms) <= _ASYMMETRIC
    ):
        raise ValueError("not an authorization server")
    return OAuth(value["issuer"], value["audience"], _web_url(str(value["jwks_url"])), tuple(algorithms))


def _tool_rate(value: str) -> str:
    name, _, number = value.partition("=")
    if not name or not number.isascii() or not number.isdigit() or int(number) == 0:
        raise ValueError("not a rate")
    return value


def _network(value: str) -> str:
    return str(ip_network(value, strict=False))


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError("not a name of a variable")
    return value


Whole = Annotated[int, BeforeValidator(_refuse_boolean)]
Seconds = Annotated[float, BeforeValidator(_refuse_boolean), Field(gt=0, allow_inf_nan=False)]
FilledText = Annotated[str, Field(min_length=1), Accepts("text of at least 1 character")]
Hosts = Annotated[list[Annotated[str, AfterValidator(_host)]], Accepts("a list of `name` or `name:port`")]
Origins = Annotated[
    list[Annotated[str, AfterValidator(_origin)]], Accepts("a list of `scheme://host` or `scheme://host:port`")
]
Modules = Annotated[list[Annotated[str, AfterValidator(_module_name)]], Accepts("a list of dotted Python module names")]
OptionalRoots = Annotated[
    list[Annotated[RootPath, BeforeValidator(_root)]] | None,
    BeforeValidator(_blank_is_unset),
    Accepts("a list, each item a path or a mapping of path and read_only"),
]
Variables = Annotated[list[Annotated[str, AfterValidator(_variable)]], Accepts("a list of environment variable names")]
OptionalOAuth = Annotated[
    OAuth | None,
    BeforeValidator(_oauth),
    BeforeValidator(_blank_is_unset),
    Accepts("a mapping of issuer, audience, jwks_url and, optionally, asymmetric algorithms; or null"),
]
ToolRates = Annotated[
    list[Annotated[str, AfterValidator(_tool_rate)]], Accepts("a list of `tool=number` with numbers above 0")
]
Networks = Annotated[
    list[Annotated[str, AfterValidator(_network)]], Accepts("a list of IP addresses or networks, e.g. 10.0.0.0/8")
]
OptionalWhole = Annotated[
    Annotated[int, BeforeValidator(_refuse_boolean), Field(ge=0)] | None,
    BeforeValidator(_blank_is_unset),
    Accepts("a whole number of at least 0, or null"),
]
Texts = Annotated[list[Annotated[str, Field(min_length=1)]], Accepts("a list of strings")]
Paths = Annotated[list[Annotated[Path, BeforeValidator(_path)]], Accepts("a list of paths")]
OptionalPath = Annotated[
    Annotated[Path, BeforeValidator(_path)] | None, BeforeValidator(_blank_is_unset), Accepts("a path, or null")
]
Switch = Annotated[bool, Accepts("true or false")]
OptionalSwitch = Annotated[bool | None, BeforeValidator(_blank_is_unset), Accepts("true, false, or null")]
OptionalUrl = Annotated[
    Annotated[str, AfterValidator(_web_url)] | None,
    BeforeValidator(_blank_is_unset),
    Accepts("an http or https URL, or null"),
]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_is_unset), Accepts("text, or null")]
OptionalKey = Annotated[
    Annotated[SecretStr, Field(min_length=32)] | None,
    BeforeValidator(_blank_is_unset),
    Accepts("text of at least 32 characters, or null"),
]
