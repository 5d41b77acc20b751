"""Translates a checked SELECT of DuckDB's dialect into ClickHouse's.

sqlglot generates the statement. What it leaves as it is, or translates into something of another meaning, is replaced
here: names of functions, casts that give NULL, absent keys of maps, quantiles. Texts of the caller become parameters.
Must not know tables.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from sqlglot import exp

from tfo_mcp.infrastructure.clickhouse.sql import SqlPart
from tfo_mcp.infrastructure.telemetry_sql.check import InvalidSelect, rewritten

_MAPS = frozenset({"Attributes", "LogAttributes", "ResourceAttributes", "ScopeAttributes", "SpanAttributes"})
_TEXT = "\ue000{}\ue001"  # where the parameter of a number goes; both characters are private
_PLACE_OF_TEXT = re.compile("\ue000(\\d+)\ue001")
_NAME = re.compile(r"[\w .:/%()-]{1,128}")
_UNIT = re.compile(r"[A-Za-z0-9 .]{1,32}")
_CASTS: Mapping[object, str] = {
    exp.DataType.Type.BOOLEAN: "Bool",
    exp.DataType.Type.INT: "Int32",
    exp.DataType.Type.BIGINT: "Int64",
    exp.DataType.Type.UBIGINT: "UInt64",
    exp.DataType.Type.DOUBLE: "Float64",
    exp.DataType.Type.FLOAT: "Float32",
    exp.DataType.Type.DATE: "Date32",
    exp.DataType.Type.TIMESTAMP: "DateTime64(9)",
    exp.DataType.Type.TIMESTAMPNTZ: "DateTime64(9)",
    exp.DataType.Type.TIMESTAMP_NS: "DateTime64(9)",
    exp.DataType.Type.VARCHAR: "String",
    exp.DataType.Type.TEXT: "String",
}
_RENAMED: Mapping[type[exp.Expr], str] = {
    exp.StddevPop: "stddevPop",
    exp.StddevSamp: "stddevSamp",
    exp.Corr: "corr",
    exp.AnyValue: "any",
    exp.MapKeys: "mapKeys",
    exp.Left: "leftUTF8",
    exp.Right: "rightUTF8",
    exp.Substring: "substringUTF8",
    exp.Pow: "pow",
    exp.CumeDist: "cume_dist",
}
_NAMED: Mapping[str, str] = {"cardinality": "length", "entropy": "entropy", "map_contains": "mapContains"}
_Rewrite = Callable[[exp.Expr], exp.Expr]


def spellings(query: exp.Expr, columns: Iterable[str]) -> Mapping[str, str]:
    """Return how the names of a SELECT are spelled, by the name in lower case: ClickHouse distinguishes the cases."""
    own = [alias.alias_or_name for alias in query.find_all(exp.Alias, exp.TableAlias, exp.CTE)]
    return {name.lower(): name for name in [*own, *columns]}


def translated(query: exp.Expr, known: Mapping[str, str]) -> SqlPart:
    """Return a part of a checked SELECT as ClickHouse understands it.

    Args:
        known: the spellings of the names of the whole SELECT.

    Raises:
        InvalidSelect: it has what ClickHouse has not.
    """
    texts: list[str] = []
    part = rewritten(query.copy(), lambda node: _named(node, known))
    part = rewritten(part, lambda node: _parameter(node, texts))
    text = rewritten(part, _rewritten).sql(dialect="clickhouse", identify=True, comments=False)
    order = [int(number) for number in _PLACE_OF_TEXT.findall(text)]
    return SqlPart(_PLACE_OF_TEXT.sub("\0", text), tuple(texts[number] for number in order))


def _named(node: exp.Expr, known: Mapping[str, str]) -> exp.Expr:
    if isinstance(node, exp.Identifier):
        if not _NAME.fullmatch(node.name):
            raise InvalidSelect("A name can have letters, digits, spaces and _.:/%()- only")
        return exp.to_identifier(known.get(node.name.lower(), node.name), quoted=True)
    return node


def _rewritten(node: exp.Expr) -> exp.Expr:
    kind = type(node)
    if kind in _REWRITES:
        return _REWRITES[kind](node)
    if kind in _RENAMED:
        return _call(_RENAMED[kind], *_operands(node))
    if isinstance(node, exp.Anonymous):
        return _anonymous(node)
    return node


def _operands(node: exp.Expr) -> Sequence[exp.Expr]:
    """Return the arguments of a function in their order."""
    found: list[exp.Expr] = []
    for name in node.arg_types:
        value = node.args.get(name)
        found += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, exp.Expr)]
    return found


def _call(name: str, *arguments: exp.Expr | str | int) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=[_argument(each) for each in arguments])


def _argument(value: exp.Expr | str | int) -> exp.Expr:
    """Return an argument; a text is a constant of this module, which is written as it is."""
    if isinstance(value, str):
        return exp.Var(this=f"'{value}'")
    return exp.Literal.number(value) if isinstance(value, int) else value


def _cast(node: exp.Expr) -> exp.Expr:
    wanted = cast(exp.DataType, node.args["to"]).this
    if wanted not in _CASTS:
        raise InvalidSelect("Casts to INTERVAL are not available over ClickHouse")
    kind = _CASTS[wanted]
    return _call("toString", node.this) if kind == "String" else _call("accurateCastOrNull", node.this, kind)


def _element(node: exp.Expr) -> exp.Expr:
    """Return an element of a map, which is NULL without its key, or of a list."""
    owner, keys = node.this, node.expressions
    if isinstance(owner, exp.Column | exp.Dot) and owner.name in _MAPS and len(keys) == 1:
        return _of_map(owner, keys[0])
    return node


def _of_map(owner: exp.Expr, key: exp.Expr) -> exp.Expr:
    element = exp.Bracket(this=owner.copy(), expressions=[key.copy()])
    return _call("if", _call("mapContains", owner, key), _call("toNullable", element), exp.Null())


def _quantile(node: exp.Expr) -> exp.Expr:
    level = node.args.get("quantile") or node.args.get("expression")
    if not isinstance(level, exp.Literal) or level.is_string:
        raise InvalidSelect("A quantile needs a number between 0 and 1")
    return _quantile_of(node.this, level)


def _quantile_of(value: exp.Expr, level: exp.Expr) -> exp.Expr:
    return exp.ParameterizedAgg(this="quantileExactInclusive", expressions=[level], params=[value])


def _anonymous(node: exp.Anonymous) -> exp.Expr:
    name, arguments = node.name.lower(), node.expressions
    match name:
        case "element_at" | "map_extract" if len(arguments) == 2:
            return _call(
                "arrayFilter", exp.Var(this="x -> x IS NOT NULL"), exp.Array(expressions=[_of_map(*arguments)])
            )
        case "epoch_ns" if len(arguments) == 1:
            return _nanoseconds(arguments[0])
        case "make_timestamp_ns" if len(arguments) == 1:
            return _call("fromUnixTimestamp64Nano", _call("toInt64", arguments[0]))
        case "mad":
            raise InvalidSelect("The function mad is not available over ClickHouse")
    return _call(_NAMED[name], *arguments) if name in _NAMED else node


def _nanoseconds(time: exp.Expr) -> exp.Expr:
    return _call("toUnixTimestamp64Nano", _call("toDateTime64", time, 9))


def _written_time(node: exp.Expr) -> exp.Expr:
    """Return a time as text; the two dialects spell minutes and names of months differently."""
    minutes = _call("replaceAll", node.args["format"], "%M", "%i")
    return _call("formatDateTime", node.this, _call("replaceAll", minutes, "%B", "%M"))


def _logarithm(node: exp.Expr) -> exp.Expr:
    if node.expression is None:
        return _call("log10", node.this)
    return exp.Div(this=_call("ln", node.expression), expression=_call("ln", node.this))


def _with_nulls(name: str, node: exp.Expr) -> exp.Expr:
    """Return a function of windows that is NULL beyond the first and the last row."""
    value, *others = _operands(node)
    return _call(name, _call("toNullable", value), *others)


def _absent(node: exp.Expr) -> exp.Expr:
    raise InvalidSelect(f"{type(node).__name__.upper()} is not available over ClickHouse")


_REWRITES: Mapping[type[exp.Expr], _Rewrite] = {
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Bracket: _element,
    exp.Quantile: _quantile,
    exp.PercentileCont: _quantile,
    exp.PercentileDisc: _quantile,
    exp.ApproxQuantile: _quantile,
    exp.Median: lambda node: _quantile_of(node.this, exp.Literal.number("0.5")),
    exp.Log: _logarithm,
    exp.Lag: lambda node: _with_nulls("lag", node),
    exp.Lead: lambda node: _with_nulls("lead", node),
    exp.NthValue: lambda node: _with_nulls("nth_value", node),
    exp.Mode: _absent,
    exp.First: _absent,
    exp.Last: _absent,
    exp.LogicalAnd: lambda node: _call("toBool", _call("min", node.this)),
    exp.LogicalOr: lambda node: _call("toBool", _call("max", node.this)),
    exp.SplitPart: lambda node: _call(
        "arrayElement", _call("splitByString", node.args["delimiter"], node.this), node.args["part_index"]
    ),
    exp.RegexpExtract: lambda node: _call(
        "regexpExtract", node.this, node.expression, node.args.get("group") or exp.Literal.number(0)
    ),
    exp.DateBin: lambda node: _call("toStartOfInterval", node.expression, node.this),
    exp.DateDiff: lambda node: _call("dateDiff", node.args["unit"].name.lower(), node.expression, node.this),
    exp.DayOfWeek: lambda node: _call("toDayOfWeek", node.this, 2),
    exp.TimeToStr: _written_time,
    exp.TimeToUnix: lambda node: exp.Div(this=_nanoseconds(node.this), expression=exp.Literal.number("1e9")),
    exp.IntDiv: lambda node: _call("intDiv", node.this, node.expression),
}


def _parameter(node: exp.Expr, texts: list[str]) -> exp.Expr:
    """Replace a text of the caller by the place of a parameter; units of time stay, since they are syntax."""
    if not (isinstance(node, exp.Literal) and node.is_string):
        return node
    if isinstance(node.parent, exp.Interval | exp.DateTrunc | exp.TimestampTrunc | exp.Extract):
        if not _UNIT.fullmatch(node.name):
            raise InvalidSelect("A unit of time is a word such as hour")
        return node
    is_pattern = isinstance(node.parent, exp.Like | exp.ILike) and node.arg_key == "expression"
    texts.append(node.name.replace("\\", r"\\") if is_pattern else node.name)  # a backslash escapes nothing in DuckDB
    return exp.Var(this=_TEXT.format(len(texts) - 1))
