"""Defines the section `events`: where domain events go, and how safely. Must not know drivers."""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from tfo_mcp.infrastructure.config.sections import Section
from tfo_mcp.infrastructure.config.shapes import Accepts, Networks, OptionalPath, Seconds, Whole
from tfo_mcp.value_objects import value_object

MEMORY = "memory:"
"""The URL of the event log in this process."""


@value_object
class Webhook:
    """A URL that events are posted to, patterns of their types and subjects, and the file of the signing secret."""

    url: str
    types: tuple[str, ...] = ("*",)
    subjects: tuple[str, ...] = ("*",)
    secret_file: Path | None = None

    def plain(self) -> object:
        """Return the value as a mapping; of the URL scheme and host only, since the rest may be a secret."""
        parts = urlsplit(self.url)
        file = None if self.secret_file is None else self.secret_file.as_posix()
        return {
            "url": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            "types": list(self.types),
            "subjects": list(self.subjects),
            "secret_file": file,
        }


def _webhook(value: object) -> object:
    if isinstance(value, Webhook):
        return value
    if not isinstance(value, dict) or "url" not in value or not set(value) <= {*_FILTERS, "url", "secret_file"}:
        raise ValueError("not a webhook")
    url, secret_file = value["url"], value.get("secret_file")
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("not a webhook")
    if secret_file is not None and (not isinstance(secret_file, str | Path) or not str(secret_file)):
        raise ValueError("not a webhook")
    types, subjects = (value.get(name, ["*"]) for name in _FILTERS)
    for patterns in (types, subjects):
        if (
            not isinstance(patterns, list | tuple)
            or not patterns
            or not all(isinstance(each, str) for each in patterns)
        ):
            raise ValueError("not a webhook")
    path = None if secret_file is None else Path(os.path.expanduser(secret_file))
    return Webhook(url, tuple(types), tuple(subjects), path)


def _each_once(webhooks: list[Webhook]) -> list[Webhook]:
    if len({webhook.url for webhook in webhooks}) < len(webhooks):
        raise ValueError("a URL is named twice")
    return webhooks


_FILTERS = ("types", "subjects")
Webhooks = Annotated[
    list[Annotated[Webhook, BeforeValidator(_webhook)]],
    AfterValidator(_each_once),
    Accepts("a list of mappings of url and, optionally, types, subjects and secret_file, each URL once"),
]


def _events_url(value: str) -> str:
    if value == MEMORY:
        return value
    for server in value.split(","):
        parts = urlsplit(server)
        if parts.scheme not in ("nats", "tls") or not parts.hostname or parts.port == 0 or parts.path or parts.query:
            raise ValueError("not a URL of an event log")
    return value


class EventsSettings(Section):
    """Domain events: what happened in sessions, calls and conversations, for the systems that watch."""

    url: Annotated[
        str,
        AfterValidator(_events_url),
        Accepts("`memory:`, or a list of `nats://host:port` or `tls://host:port`, separated by commas"),
    ] = Field(
        default="memory:",
        repr=False,
        description="The event log. `memory:` keeps none: events go to `events.webhooks` only. `nats://host:4222` or "
        "`tls://host:4222` is NATS with JetStream (extra `nats`); servers of one cluster are separated by commas. "
        "Prefer an environment variable to a file if it contains a password.",
    )
    credentials_file: OptionalPath = Field(
        default=None, description="Credentials file of NATS (JWT and seed), if the URL has no user or token."
    )
    stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$"), Accepts("1 to 64 characters A-Z a-z 0-9 _ -")] = (
        Field(
            default="TFO_MCP_EVENTS",
            description="Name of the stream. It is created, and has the subjects `tfo.mcp.events.>`.",
        )
    )
    replicas: Whole = Field(default=1, ge=1, le=5, description="Servers of the NATS cluster that keep the stream.")
    max_age_seconds: Seconds = Field(
        default=604_800.0, description="Seconds after which the stream drops an event; the default is a week."
    )
    max_bytes: Whole = Field(
        default=0, ge=0, description="Bytes of the stream above which it drops its oldest events; 0 means no limit."
    )
    duplicate_window_seconds: Seconds = Field(
        default=600.0,
        description="Seconds for which the stream remembers ids of events, to drop an event that is sent again after a "
        "failure. A longer outage can leave duplicates; consumers tell them by their id.",
    )
    timeout_seconds: Seconds = Field(
        default=2.0, description="Seconds after which a call to NATS counts as failed. Events wait in the outbox then."
    )
    durability: Literal["calls", "batched"] = Field(
        default="batched",
        description="When the events of calls that change no stored object are written to the outbox in the database. "
        "`batched`: in the background; a crash loses those of the last tenth of a second. `calls`: before the call is "
        "answered; the call fails if that is not possible. Without an event log outside of the process or without a "
        "database, events wait in memory.",
    )
    webhooks: Webhooks = Field(
        default=[],
        repr=False,
        description="URLs that events are posted to as CloudEvents. `types` and `subjects` are patterns such as "
        "`Tool*`, one of which has to match; without them all events are posted. `secret_file` contains the signing "
        "secret: 24 to 64 bytes in base64 (`openssl rand -base64 32`). With `memory:` deliveries end with the process.",
    )
    webhook_networks: Networks = Field(
        default=[],
        description="Networks that webhooks may be in although their addresses are not public (private, loopback, "
        "link-local). Requests to other such addresses are refused.",
    )
    webhook_timeout_seconds: Seconds = Field(
        default=10.0, le=600, description="Seconds after which a delivery to a webhook counts as failed."
    )
    webhook_tries: Whole = Field(
        default=8, ge=1, le=100, description="Attempts after which a delivery is moved to the dead letters."
    )
    webhook_retry_seconds: Seconds = Field(
        default=5.0, description="Seconds before the second attempt; doubled for each further one, up to ten minutes."
    )
