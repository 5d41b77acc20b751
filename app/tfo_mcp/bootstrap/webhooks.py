"""Webhooks: the work queue, and the runner that delivers events."""

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from tfo_mcp.application.ports import WorkQueue
from tfo_mcp.application.webhooks import DELIVERY, WebhookTarget
from tfo_mcp.application.work import WorkRunner
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.config.events_section import Webhook
from tfo_mcp.infrastructure.state.work_queue import MemoryWorkQueue
from tfo_mcp.value_objects import value_object

if TYPE_CHECKING:
    from tfo_mcp.infrastructure.webhooks.sender import WebhookSender

_VISIBILITY_SECONDS = 20.0  # beyond the deadline of an attempt
_SECRET_BYTES = range(24, 65)  # Standard Webhooks
_SECRET_PREFIX = "whsec_"  # noqa: S105 # the prefix of Standard Webhooks
_MOST_SECRET_CHARACTERS = 1000
_log = structlog.get_logger("tfo_mcp.webhooks")


@value_object
class WebhookDelivery:
    """The targets of events, the queue of deliveries, and what runs them."""

    targets: Sequence[WebhookTarget]
    queue: WorkQueue
    runner: WorkRunner
    sender: "WebhookSender"

    async def aclose(self) -> None:
        """Close connections."""
        await self.runner.aclose()
        await self.sender.aclose()


def webhook_delivery(settings: Settings, queue: WorkQueue | None) -> WebhookDelivery:
    """Return what delivers events to the webhooks of the settings.

    Args:
        queue: the queue that outlives the process; None for one in memory.

    Raises:
        ConfigurationError: a secret cannot be used.
    """
    section = settings.events
    from tfo_mcp.infrastructure.webhooks.sender import WebhookSender  # slow import: httpx

    targets = [_target(webhook) for webhook in section.webhooks]
    queue = queue or MemoryWorkQueue(visibility_seconds(settings))
    sender = WebhookSender(targets, section.webhook_networks, section.webhook_timeout_seconds)
    runner = WorkRunner(
        queue,
        {DELIVERY: sender.deliver},
        section.webhook_tries,
        section.webhook_retry_seconds,
        section.webhook_timeout_seconds,
        _report,
    )
    return WebhookDelivery(targets, queue, runner, sender)


def visibility_seconds(settings: Settings) -> float:
    """Return how long a delivery may take before another process tries it."""
    return settings.events.webhook_timeout_seconds + _VISIBILITY_SECONDS


def _target(webhook: Webhook) -> WebhookTarget:
    key = None if webhook.secret_file is None else _key(webhook)
    return WebhookTarget(webhook.url, webhook.types, webhook.subjects, key)


def _key(webhook: Webhook) -> bytes:
    path = webhook.secret_file
    assert path is not None
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MOST_SECRET_CHARACTERS).strip()
        key = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except (OSError, UnicodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise ConfigurationError((f"events.webhooks: the secret file {path} cannot be read: {reason}",)) from None
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in _SECRET_BYTES:
        raise ConfigurationError(
            (
                f"events.webhooks: the secret file {path} must contain 24 to 64 bytes in base64, "
                "as `openssl rand -base64 32` prints them",
            )
        )
    return key


def _report(outage: str | None) -> None:
    if outage is None:
        _log.info("the work queue can be reached again")
    else:
        _log.error("the work queue cannot be reached; deliveries of webhooks wait", reason=outage)
