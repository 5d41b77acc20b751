"""Metrics of a metric service, such as Prometheus: expressions as they are given, and metrics by name as PromQL.

Knows how the arguments of query_metrics become PromQL; not how the service is reached.
"""

from collections.abc import Sequence

from tfo_mcp.analysis.metric_groups import Statistic
from tfo_mcp.analysis.metric_steps import Grid, grid_of
from tfo_mcp.analysis.promql_series import valid_name
from tfo_mcp.analysis.text import safe
from tfo_mcp.analysis.times import show_duration
from tfo_mcp.builtin.telemetry.answer import table_answer
from tfo_mcp.builtin.telemetry.metric_table import vector_table
from tfo_mcp.builtin.telemetry.question import Question
from tfo_mcp.plugins import Context, ToolError
from tfo_mcp.plugins.telemetry import AllOf, Comparison, LabelledValues, MetricService, Negation, Predicate

_SHORTEST_RATE = 60_000_000_000
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_DEFAULTS: dict[str, Statistic] = {"counter": "rate", "gauge": "avg", "histogram": "p95", "summary": "p95"}


async def answer_promql(ctx: Context, service: MetricService, question: Question, promql: str, title: str = "") -> str:
    """Return the answer of an expression."""
    window = question.window
    grid = _whole_steps(question)
    start = grid.time(1) if grid.time(1) <= window.end else window.end
    found = await service.query_range(promql, start, max(start, grid.time(grid.count)), grid.length)
    place = f"Prometheus at {service.place}"
    if not found:
        return f"{question.range}: {place} has no series for {safe(promql, 300)}"
    header, rows = await ctx.in_thread(_table, found, grid, question)
    head = (
        f"{question.range}: {title or 'PromQL'} of {place} in steps of {show_duration(grid.length)}, {len(rows)} series"
    )
    return table_answer(
        head, header, rows, question.budget, more="Aggregate by fewer labels, or give a larger `budget`."
    )


async def promql_of(
    service: MetricService, question: Question, metric: str, aggregate: str, by: Sequence[str]
) -> tuple[str, str] | None:
    """Return the PromQL of a metric by its name, and a title; None if the service has no such metric.

    Raises:
        ToolError: the filter cannot be written as matchers, or the type of the metric has no such statistic.
    """
    window, name = question.window, valid_name(metric)
    names = set(await service.names(window.start, window.end, f"{name}(_bucket|_sum|_count|_total)?"))
    kind = await _kind(service, name, names)
    if kind is None:
        return None
    if kind == "counter" and name not in names:
        name += "_total"
    statistic = _DEFAULTS[kind] if aggregate == "auto" else aggregate
    labels = ["job" if each in ("service.name", "service") else valid_name(each) for each in by]
    step = _whole_steps(question).length
    promql = _expression(kind, name, statistic, labels, _matchers(question.where), step)
    if promql is None:
        raise ToolError(f"{statistic} is not available of {safe(name)}, a {kind} of Prometheus: give `promql`")
    return promql, f"{safe(name)} ({kind}): {statistic}"


async def _kind(service: MetricService, name: str, names: set[str]) -> str | None:
    declared = await service.type_of(name)
    if f"{name}_bucket" in names:
        return "histogram"
    if name in names:
        is_counter = declared == "counter" or (not declared and name.endswith(("_total", "_count", "_sum")))
        return "counter" if is_counter else "summary" if declared == "summary" else "gauge"
    return "counter" if f"{name}_total" in names else None


def _expression(kind: str, name: str, statistic: str, labels: Sequence[str], matchers: str, step: int) -> str | None:
    """Return the PromQL of a statistic, None if the kind does not have it."""
    by = f" by ({', '.join(labels)})"
    window = f"[{max(step, _SHORTEST_RATE) // 1_000_000_000}s]"
    if kind in ("histogram", "summary"):
        rates = {part: f"sum{by} (rate({name}_{part}{matchers}{window}))" for part in ("sum", "count")}
        found = {
            "avg": f"{rates['sum']} / {rates['count']}",
            "rate": rates["count"],
            "sum": rates["sum"],
            "increase": f"sum{by} (increase({name}_count{matchers}{window}))",
        }
        if statistic in _QUANTILES and kind == "histogram":
            buckets = f"sum by ({', '.join(['le', *labels])}) (rate({name}_bucket{matchers}{window}))"
            return f"histogram_quantile({_QUANTILES[statistic]}, {buckets})"
        if statistic in _QUANTILES:
            within = matchers.removeprefix("{").removesuffix("}")
            quantile = f'quantile="{_QUANTILES[statistic]}"'
            return f"max{by} ({name}{{{', '.join(filter(None, (within, quantile)))}}})"
        return found.get(statistic)
    values = f"rate({name}{matchers}{window})" if kind == "counter" else f"{name}{matchers}"
    if statistic in _QUANTILES:
        return f"quantile{by} ({_QUANTILES[statistic]}, {values})"
    if statistic in ("rate", "increase"):
        function = "rate" if statistic == "rate" else "increase"
        return f"sum{by} ({function}({name}{matchers}{window}))" if kind == "counter" else None
    return f"{statistic}{by} ({values})"


def _matchers(where: Predicate | None) -> str:
    """Return the label matchers of a filter."""
    parts = where.operands if isinstance(where, AllOf) else (where,) if where is not None else ()
    found = []
    for part in parts:
        negated = isinstance(part, Negation)
        test = part.operand if isinstance(part, Negation) else part
        if not isinstance(test, Comparison) or test.operator not in ("=", "~") or isinstance(test.value, bool):
            raise ToolError("For metrics of Prometheus, `where` joins comparisons with =, !=, ~ and !~ by `and`")
        name = "job" if test.field.name == "service.name" else valid_name(test.field.name)
        operator = {("=", False): "=", ("=", True): "!=", ("~", False): "=~", ("~", True): "!~"}[test.operator, negated]
        value = f"(?i).*(?:{test.value}).*" if test.operator == "~" else _plain(test.value)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        found.append(f'{name}{operator}"{escaped}"')
    return f"{{{', '.join(found)}}}" if found else ""


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _whole_steps(question: Question) -> Grid:
    """Return the steps that end within the period, at least one."""
    window = question.window
    grid = grid_of(window, ())
    return Grid(grid.start, grid.length, max(1, (window.end - window.start) // grid.length))


def _table(found: Sequence[LabelledValues], grid: Grid, question: Question) -> tuple[str, Sequence[str]]:
    vector: dict[tuple[tuple[str, str], ...], list[float | None]] = {}
    for series in found:
        values: list[float | None] = [None] * grid.count
        for time, value in zip(series.times, series.values, strict=True):
            index = max(0, round((time - grid.start) / grid.length) - 1)
            if index < grid.count:
                values[index] = value
        vector[tuple(sorted(series.labels.items()))] = values
    return vector_table(vector, grid, question.window)
