"""The telemetry tools, resources and prompts: what an assistant reads of stored traces, logs and metrics.

Registered if the server has a telemetry store. Each answer repeats its period in UTC, fences foreign text, keeps to a
budget in tokens, and says what was cut and how to see it. The modules know `tfo_mcp.plugins` and `tfo_mcp.analysis`.
"""

from tfo_mcp.builtin.telemetry import (
    aggregates,
    comparison,
    fields,
    logs,
    metrics,
    overview,
    prompts,
    resources,
    server_usage,
    service_map,
    sql,
    traces,
)

MODULES = (
    overview,
    fields,
    traces,
    logs,
    metrics,
    aggregates,
    comparison,
    service_map,
    sql,
    resources,
    server_usage,
    prompts,
)
