"""Builds the metric service from the settings: the Prometheus that operators name."""

from collections.abc import Callable

from tfo_mcp.analysis.row_rules import RowRules
from tfo_mcp.application.ports.metric_service import MetricService
from tfo_mcp.domain.access import Caller
from tfo_mcp.infrastructure.config import Settings

_SECONDS = 20.0


def metric_service(settings: Settings) -> Callable[[Caller], MetricService | None] | None:
    """Return a function that returns the service for a caller, None if none is set, or without the telemetry tools.

    Callers with rules in `telemetry.access` get None: metrics in Prometheus may lack the attributes of the rules.
    """
    section = settings.telemetry
    if section.prometheus_url is None or section.store == "off":
        return None
    from tfo_mcp.infrastructure.prometheus.service import PrometheusService  # imports httpx, a tenth of a start

    headers = {}
    if section.prometheus_token is not None:
        headers["Authorization"] = f"Bearer {section.prometheus_token.get_secret_value()}"
    if section.prometheus_tenant is not None:
        headers["X-Scope-OrgID"] = section.prometheus_tenant
    service = PrometheusService(section.prometheus_url, headers, _SECONDS)
    rules = RowRules(section.access)
    return lambda caller: service if rules.rows_of(caller) is None else None
