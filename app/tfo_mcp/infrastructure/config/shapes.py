"""Defines the value types of settings: hosts, origins, URLs, paths, module names, counts, durations.

Owns the validation of a single value and the words for the form that it accepts. Must not know setting names, files or
the environment; `sections` composes these types.
"""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr

from tfo_mcp.value_objects import value_object

_NAME = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"
_HOST = re.compile(rf"(?:{_NAME}|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?")
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>{_HOST.pattern})")
_BASE_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+;=:@-]+)*/?")
_ASYMMETRIC = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_FROM_CLIENT = "client"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_URL_OPTIONS = {"redis": frozenset[str](), "rediss": _TLS_OPTIONS, "redis+sentinel": frozenset[str]()}
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@value_object
class Accepts:
    """Annotates a setting with the words for the values that it accepts, e.g. `a list of module names`."""

    text: str


@value_object
class RootPath:
    """A directory that files are served from; `read_only` forbids changes.

    With `from_client` it stands for the directories that each client lists.
    """

    path: Path
    read_only: bool = False
    from_client: bool = False

    def plain(self) -> object:
        """Return the value as written in a configuration file: a path, or a mapping."""
        if self.from_client:
            return _FROM_CLIENT
        return {"path": self.path.as_posix(), "read_only": True} if self.read_only else self.path.as_posix()


@value_object
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


@value_object
class AlsoFrom:
    """Annotates a setting that is also read from an environment variable without this product's prefix.

    Other programs read the variable too: a value that the setting does not accept is ignored with a warning.
    """

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


def _base_path(value: str) -> str:
    if not _BASE_PATH.fullmatch(value):
        raise ValueError("not a path prefix")
    return value.rstrip("/")


def _is_port(text: str | None) -> bool:
    return text is None or 0 < int(text) <= 65535


def _web_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("not a URL")
    return value


def _state_url(value: str) -> str:
    if value == "memory:":
        return value
    parts = urlsplit(value)
    credentials, _, places = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").rpartition("/")
    is_sentinel = parts.scheme == "redis+sentinel"
    if is_sentinel and not database.isdigit():
        service, database = f"{service}/{database}".strip("/"), "0"
    if (
        parts.scheme not in ("redis", "rediss", "redis+sentinel")
        or "@" in credentials
        or not all(_HOST.fullmatch(place.lower()) and _host(place) for place in places.split(","))
        or not re.fullmatch(r"[0-9]*", database)
        or not (re.fullmatch(r"[\w.-]+", service) if is_sentinel else not service and "," not in places)
        or not {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} <= _URL_OPTIONS[parts.scheme]
        or parts.fragment
    ):
        raise ValueError("not a URL of Redis")
    return value


def _otlp_endpoint(value: str) -> str:
    host, _, port = value.rpartition(":")
    if _HOST.fullmatch(value.lower()) and host and _is_port(port):
        return value
    return _web_url(value)


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
    if value == _FROM_CLIENT:
        return RootPath(Path(_FROM_CLIENT), from_client=True)
    if isinstance(value, str | Path):
        return {"path": _path(value)}
    if isinstance(value, dict) and set(value) <= {"path", "read_only"}:
        return {**value, "path": _path(value.get("path"))}
    raise ValueError("not a root")


def _roots(value: object) -> object:
    return [value] if value == _FROM_CLIENT else value


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


def _worker_count(value: object) -> int | Literal["auto"]:
    text = str(value).strip()
    if text == "auto":
        return "auto"
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= 1024:
        raise ValueError("not a number of processes")
    return int(text)


def _network(value: str) -> str:
    return str(ip_network(value, strict=False))


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError("not a name of a variable")
    return value


Whole = Annotated[int, BeforeValidator(_refuse_boolean)]
WorkerCount = Annotated[
    int | Literal["auto"], PlainValidator(_worker_count), Accepts("a whole number from 1 to 1024, or `auto`")
]
Seconds = Annotated[float, BeforeValidator(_refuse_boolean), Field(gt=0, allow_inf_nan=False)]
FilledText = Annotated[str, Field(min_length=1), Accepts("text of at least 1 character")]
Hosts = Annotated[list[Annotated[str, AfterValidator(_host)]], Accepts("a list of `name` or `name:port`")]
BasePath = Annotated[str, AfterValidator(_base_path), Accepts("a path such as `/tools`, or an empty text")]
Origins = Annotated[
    list[Annotated[str, AfterValidator(_origin)]], Accepts("a list of `scheme://host` or `scheme://host:port`")
]
Modules = Annotated[list[Annotated[str, AfterValidator(_module_name)]], Accepts("a list of dotted Python module names")]
OptionalRoots = Annotated[
    list[Annotated[RootPath, BeforeValidator(_root)]] | None,
    BeforeValidator(_roots),
    BeforeValidator(_blank_is_unset),
    Accepts("`client`, or a list, each item `client`, a path, or a mapping of path and read_only"),
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
StateUrl = Annotated[
    str,
    AfterValidator(_state_url),
    Accepts("`memory:`, or a URL with the scheme redis, rediss or redis+sentinel"),
]
OptionalEndpoint = Annotated[
    Annotated[str, AfterValidator(_otlp_endpoint)] | None,
    BeforeValidator(_blank_is_unset),
    Accepts("an http or https URL, `host:port` with the protocol grpc, or null"),
]
OptionalText = Annotated[str | None, BeforeValidator(_blank_is_unset), Accepts("text, or null")]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_is_unset), Accepts("text, or null")]
OptionalKey = Annotated[
    Annotated[SecretStr, Field(min_length=32)] | None,
    BeforeValidator(_blank_is_unset),
    Accepts("text of at least 32 characters, or null"),
]
