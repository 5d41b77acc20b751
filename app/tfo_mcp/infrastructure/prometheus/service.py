"""PrometheusService: the metric service over Prometheus' HTTP API.

Owns the requests, their deadline, and the size of answers (https://prometheus.io/docs/prometheus/latest/querying/api/).
Errors name the host only: the rest of the URL may be a secret. Redirects are not followed, and proxies of the
environment not used.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
from pydantic_core import from_json

from tfo_mcp.analysis.text import safe
from tfo_mcp.application.ports.metric_service import LabelledValues
from tfo_mcp.domain.errors import OperationFailed

_MAX_BYTES = 16 * 1024 * 1024
_MESSAGE_LIMIT = 300
_SECOND = 1_000_000_000


class PrometheusService:
    """Queries a Prometheus.

    Args:
        url: base URL, with a path and credentials if it needs them.
        headers: of each request, such as a token.
        seconds: deadline of a request.
    """

    def __init__(self, url: str, headers: Mapping[str, str], seconds: float) -> None:
        self._url = url.rstrip("/")
        self._headers = dict(headers)
        self._seconds = seconds

    @property
    def place(self) -> str:
        """The host."""
        return urlsplit(self._url).hostname or ""

    async def query_range(self, promql: str, start: int, end: int, step: int) -> Sequence[LabelledValues]:
        """Return the values of an expression."""
        form = {"query": promql, "start": _seconds(start), "end": _seconds(end), "step": _seconds(step)}
        form["timeout"] = f"{self._seconds:g}s"
        data = await self._ask("query_range", form)
        try:
            return [
                LabelledValues(
                    each["metric"],
                    [round(float(time) * _SECOND) for time, _ in each.get("values", ())],
                    [float(value) for _, value in each.get("values", ())],
                )
                for each in data["result"]
            ]
        except (TypeError, LookupError, ValueError, AttributeError):
            raise self._no_answer() from None

    async def names(self, start: int, end: int, pattern: str | None = None) -> Sequence[str]:
        """Return the names of metrics."""
        query = {"start": _seconds(start), "end": _seconds(end)}
        if pattern is not None:
            escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
            query["match[]"] = f'{{__name__=~"{escaped}"}}'
        data = await self._ask("label/__name__/values", query, method="GET")
        return sorted(map(str, data)) if isinstance(data, list) else []

    async def type_of(self, metric: str) -> str:
        """Return the declared type."""
        data = await self._ask("metadata", {"metric": metric}, method="GET")
        declared = data.get(metric) if isinstance(data, dict) else None
        return str(declared[0].get("type", "")) if declared else ""

    async def _ask(self, path: str, parameters: Mapping[str, str], *, method: str = "POST") -> Any:
        """Return the data of an answer."""
        sent: dict[str, Any] = {"params": parameters} if method == "GET" else {"data": parameters}
        try:
            with anyio.fail_after(self._seconds):
                async with (
                    httpx.AsyncClient(timeout=self._seconds, trust_env=False, headers=self._headers) as client,
                    client.stream(method, f"{self._url}/api/v1/{path}", **sent) as response,
                ):
                    return self._data(response.status_code, await self._body(response))
        except (TimeoutError, httpx.TimeoutException):
            raise OperationFailed(
                f"Prometheus at {self.place} has not answered within {self._seconds:g} s: choose a shorter period, or "
                "fewer series"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise OperationFailed(
                f"Prometheus at {self.place} cannot be reached ({type(problem).__name__}): its address is "
                "telemetry.prometheus_url"
            ) from None

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MAX_BYTES:
                raise OperationFailed(
                    f"The answer of Prometheus at {self.place} is larger than {_MAX_BYTES >> 20} MiB: aggregate, or "
                    "choose fewer series"
                )
        return bytes(body)

    def _data(self, status: int, body: bytes) -> Any:
        if status in (401, 403):
            raise OperationFailed(
                f"Prometheus at {self.place} refuses the server's credentials (status {status}): its operator can set "
                "telemetry.prometheus_token"
            )
        try:
            answer = from_json(body)
            if answer["status"] == "success":
                return answer["data"]
            reason = safe(str(answer["error"]), _MESSAGE_LIMIT)
        except (ValueError, TypeError, LookupError):
            raise self._no_answer(status) from None
        raise OperationFailed(f"Prometheus at {self.place} refuses the query: {reason}")

    def _no_answer(self, status: int = 200) -> OperationFailed:
        return OperationFailed(
            f"{self.place} does not answer as Prometheus does (status {status}): check telemetry.prometheus_url, with "
            "the path of the API, such as /prometheus of Mimir"
        )


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // _SECOND}.{nanoseconds % _SECOND:09d}"
