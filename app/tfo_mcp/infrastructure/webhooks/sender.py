"""WebhookSender: posts events to webhooks, signed as Standard Webhooks (https://www.standardwebhooks.com) says.

Owns the request and what counts as delivered. Errors name the host only: the rest of a URL may be a secret. Responses
are not read, and redirects are not followed.
"""

import base64
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import time
from urllib.parse import urlsplit

import httpx

from tfo_mcp.application.cloud_events import CONTENT_TYPE
from tfo_mcp.application.ports import Job
from tfo_mcp.application.webhooks import WebhookTarget, delivered
from tfo_mcp.application.work import JobFailed
from tfo_mcp.infrastructure.webhooks.addresses import AddressRefused, PublicTransport


class WebhookSender:
    """Delivers events.

    Args:
        targets: the webhooks of the settings.
        networks: networks that may be connected to although they are not public.
        timeout_seconds: deadline of connecting, and of each read and write.
    """

    def __init__(
        self,
        targets: Sequence[WebhookTarget],
        networks: Iterable[str],
        timeout_seconds: float,
        clock: Callable[[], float] = time,
    ) -> None:
        self._targets = {target.id: target for target in targets}
        self._clock = clock
        self._client = httpx.AsyncClient(
            transport=PublicTransport(networks), timeout=timeout_seconds, follow_redirects=False, trust_env=False
        )

    async def deliver(self, job: Job) -> None:
        """Post the event of a job.

        Raises:
            JobFailed: the receiver has not accepted it.
        """
        name, body = delivered(job)
        target = self._targets.get(name)
        if target is None:
            raise JobFailed("its webhook is not in events.webhooks any more")
        host = urlsplit(target.url).hostname
        headers = self._headers(job.id.removesuffix(f"-{name}"), body, target.key)
        try:
            async with self._client.stream("POST", target.url, content=body, headers=headers) as response:
                status = response.status_code
        except AddressRefused as problem:
            raise JobFailed(f"{host}: {problem}, and is not in events.webhook_networks") from None
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise JobFailed(f"{host}: {type(problem).__name__}") from None
        if not httpx.codes.is_success(status):
            raise JobFailed(f"{host} answered with status {status}")

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    def _headers(self, event_id: str, body: bytes, key: bytes | None) -> Mapping[str, str]:
        moment = str(int(self._clock()))
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "tfo-mcp",
            "webhook-id": event_id,
            "webhook-timestamp": moment,
        }
        if key is not None:
            signed = hmac.digest(key, f"{event_id}.{moment}.".encode() + body, "sha256")
            headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
        return headers
