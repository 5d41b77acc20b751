"""The queries that servers may ask for, by the names of the port's methods.

Each is called with a cursor, the row filter of the caller and the arguments of the method.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tfo_mcp.infrastructure.telemetry_store.queries import (
    aggregates,
    features,
    fields,
    logs,
    metrics,
    points,
    select,
    services,
    traces,
)

QUERIES: Mapping[str, Callable[..., Any]] = {
    "contents": services.contents,
    "services": services.services,
    "fields": fields.fields,
    "metrics": metrics.metrics,
    "metric_points": points.metric_points,
    "traces": traces.traces,
    "trace": traces.trace,
    "spans": traces.spans,
    "logs": logs.logs,
    "log_shapes": logs.log_shapes,
    "error_shapes": traces.error_shapes,
    "aggregate": aggregates.aggregate,
    "edges": services.edges,
    "features": features.features,
    "select": select.select,
}
