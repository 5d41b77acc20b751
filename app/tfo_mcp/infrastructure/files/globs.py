r"""The one glob language of searches: parsing, matching in linear time, and coarse .gitignore lines for ripgrep.

`*` and `?` match within one name, `[a-z]` and `[!a-z]` (or `[^a-z]`) one character, `**` any number of directories,
`{a,b}` either alternative; braces without a comma are literal, and `\` makes the next character literal. A glob without
a slash matches names at any depth; with one it matches the path. One that ends with a slash matches directories only.

Paths are relative; the path of a directory ends with a slash. The globs of callers also match names that differ from
them only in their Unicode normalization, as paths do (`path_resolution`); .gitignore files compare bytes.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple
from unicodedata import normalize

from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.error_messages import is_plain, shown

_MAX_PATTERN = 1000
_MAX_ALTERNATIVES = 64
_SPECIAL = {"*": "star", "?": "any", "/": "slash", "{": "open", "}": "close", ",": "comma"}
_ESCAPED_FOR_RIPGREP = frozenset("\\*?[]{}!# ")
_NEVER = "(?!)"


class _Token(NamedTuple):
    """`text` is the character; of a class, its regular expression. `source` is the text in the pattern."""

    kind: str
    text: str
    source: str


def with_literal_braces(line: str) -> str:
    """Return a .gitignore line with braces that have no comma escaped; ripgrep would read `{id}` as `id`."""
    tokens = list(_tokens(line))
    grouping = {position for group in _groups(tokens) for position in group}
    return "".join(
        f"\\{token.source}" if token.kind in ("open", "close") and position not in grouping else token.source
        for position, token in enumerate(tokens)
    )


class TooManyAlternatives(ValueError):
    """The braces of a pattern expand to too many alternatives."""


class Glob:
    """A glob of a caller.

    Raises:
        OperationFailed: the pattern is invalid, absolute, or contains `..`.
    """

    def __init__(self, pattern: str) -> None:
        if len(pattern) > _MAX_PATTERN or not is_plain(pattern) or not pattern.strip("/."):
            raise OperationFailed("The pattern must be a glob such as *.py or src/**/test_*.py")
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise OperationFailed(
                f"{shown(pattern)}: a pattern is relative to the directory that is searched (`path`), without a "
                "leading slash and `..`"
            )
        try:
            self._patterns = path_patterns(normalize("NFC", pattern))
        except TooManyAlternatives:
            raise OperationFailed(
                f"The pattern expands to more than {_MAX_ALTERNATIVES} alternatives: use fewer braces"
            ) from None
        self._is_normalizing = not pattern.isascii()

    def matches(self, path: str) -> bool:
        """Return whether a path matches."""
        if any(pattern.matches(path) for pattern in self._patterns):
            return True
        if not self._is_normalizing or path.isascii():
            return False
        normal = normalize("NFC", path)
        return any(pattern.matches(normal) for pattern in self._patterns)

    def ignore_lines(self) -> list[str]:
        """Return lines of a .gitignore file that ignore most of the files that do not match, and none that matches."""
        return ["*", "!*/", *("!" + line for pattern in self._patterns for line in pattern.coarse_lines())]


def path_patterns(pattern: str) -> "list[PathPattern]":
    """Return the alternatives of a pattern.

    Raises:
        TooManyAlternatives: there are more than 64.
    """
    return [PathPattern(tokens) for tokens in _expanded(list(_tokens(pattern)))]


class PathPattern:
    """One pattern without alternatives."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._only_directories = bool(tokens) and tokens[-1].kind == "slash"
        parts = _parts(tokens)
        self._any_depth = not any(token.kind == "slash" for token in tokens[: -1 if self._only_directories else None])
        self._parts = [_Part(part) for part in parts if [token.text for token in part] != ["."]]

    def require_names_below(self) -> None:
        """Let a `**` at the end match at least one name, as in .gitignore files."""
        if len(self._parts) > 1 and self._parts[-1].is_any_path:
            self._parts.append(_Part([_Token("star", "*", "*")]))

    def matches(self, path: str) -> bool:
        """Return whether the path matches, by simulating the pattern as a nondeterministic automaton over its names."""
        is_directory = path.endswith("/")
        if not self._parts or (self._only_directories and not is_directory):
            return False
        names = (path[:-1] if is_directory else path).split("/")
        last = self._parts[-1]
        if not last.matches(names[-1]):
            return False
        if self._any_depth:
            return True
        reached = {0}  # positions in the pattern that the names so far can reach
        for name in names:
            following = set()
            for position in self._with_empty(reached):
                if position == len(self._parts):
                    continue
                part = self._parts[position]
                if part.is_any_path:
                    following.add(position)
                elif part.matches(name):
                    following.add(position + 1)
            reached = following
        return len(self._parts) in self._with_empty(reached)

    def coarse_lines(self) -> Iterator[str]:
        """Yield .gitignore lines that match at least the files that the pattern matches.

        ripgrep and this module read only literal characters, `*` and `**` in the same way.
        """
        if self._only_directories:
            return
        texts = [part.coarse for part in self._parts]
        beginning = "" if self._any_depth else "/"
        yield beginning + "/".join(texts)
        if len(texts) > 1 and self._parts[-1].is_any_path:
            yield beginning + "/".join(texts[:-1])

    def _with_empty(self, reached: set[int]) -> set[int]:
        """Return the positions plus those that are reachable if a `**` matches no further directory."""
        positions = set(reached)
        for position, part in enumerate(self._parts):
            if part.is_any_path and position in positions:
                positions.add(position + 1)
        return positions


class _Part:
    """The pattern of one name; `**` (`is_any_path`) stands for any number of names."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self.is_any_path = [token.kind for token in tokens] == ["star", "star"]
        is_literal = all(token.kind == "literal" for token in tokens)
        self._literal = "".join(token.text for token in tokens) if is_literal else None

    def matches(self, name: str) -> bool:
        """Return whether a name matches."""
        if self._literal is not None:
            return name == self._literal
        return self.is_any_path or self._expression.match(name) is not None

    @property
    def coarse(self) -> str:
        """The part for ripgrep, with `*` for everything that is not literal, or that has several normalizations."""
        if self.is_any_path:
            return "**"
        if not all(kind != "literal" or char.isascii() for kind, char, _ in self._tokens):
            return "*"
        text = ""
        for kind, char, _ in self._tokens:
            if kind == "literal":
                text += f"\\{char}" if char in _ESCAPED_FOR_RIPGREP else char
            elif not text.endswith("*") or text.endswith("\\*"):
                text += "*"
        return text

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        """The part as a regular expression; atomic groups keep several `*` from backtracking into each other."""
        segments = [""]
        for kind, text, _ in self._tokens:
            if kind == "star":
                segments.append("")
            else:
                segments[-1] += text if kind == "class" else "." if kind == "any" else re.escape(text)
        first, *others = segments
        if not others:
            return re.compile(rf"{first}\Z", re.DOTALL)
        middle = "".join(f"(?>.*?{segment})" for segment in others[:-1] if segment)
        return re.compile(rf"{first}{middle}.*{others[-1]}\Z", re.DOTALL)


def _tokens(pattern: str) -> Iterator[_Token]:
    position = 0
    while position < len(pattern):
        char, begin = pattern[position], position
        position += 1
        kind, text = _SPECIAL.get(char, "literal"), char
        if char == "\\" and position < len(pattern):
            text = pattern[position]
            kind = "slash" if text == "/" else "literal"
            position += 1
        elif char == "[" and (found := _class(pattern, position)) is not None:
            kind = "class"
            text, position = found
        yield _Token(kind, text, pattern[begin:position])


def _class(pattern: str, begin: int) -> tuple[str, int] | None:
    """Return the regular expression of the class after a `[`, and the position after it; None if it does not end."""
    position = begin
    negated = pattern[position : position + 1] in ("!", "^")
    position += negated
    chars: list[tuple[str, bool]] = []  # each with whether it was escaped
    while position < len(pattern) and (pattern[position] != "]" or not chars):
        is_escaped = pattern[position] == "\\" and position + 1 < len(pattern)
        position += is_escaped
        if pattern[position] == "/":
            return None
        chars.append((pattern[position], is_escaped))
        position += 1
    if position >= len(pattern):
        return None
    items = "".join(_class_items(chars))
    if negated:
        return (f"[^{items}]" if items else "."), position + 1
    return (f"[{items}]" if items else _NEVER), position + 1


def _class_items(chars: Sequence[tuple[str, bool]]) -> Iterator[str]:
    """Yield the characters and ranges of a class; a range in the wrong order contains nothing."""
    position = 0
    while position < len(chars):
        first = chars[position][0]
        if position + 2 < len(chars) and chars[position + 1] == ("-", False):
            last = chars[position + 2][0]
            if first <= last:
                yield f"{re.escape(first)}-{re.escape(last)}"
            position += 3
        else:
            yield re.escape(first)
            position += 1


def _expanded(tokens: list[_Token]) -> list[list[_Token]]:
    """Return the alternatives of a pattern, with the remaining braces and commas as literals."""
    patterns, done = [tokens], False
    while not done:
        following: list[list[_Token]] = []
        done = True
        for pattern in patterns:
            group = min(_groups(pattern), default=None)
            if group is None:
                following.append(pattern)
                continue
            done = False
            begin, *commas, end = group
            for left, right in zip([begin, *commas], [*commas, end], strict=True):
                following.append([*pattern[:begin], *pattern[left + 1 : right], *pattern[end + 1 :]])
            if len(following) > _MAX_ALTERNATIVES:
                raise TooManyAlternatives
        patterns = following
    literal = ("open", "close", "comma")
    return [[one._replace(kind="literal") if one.kind in literal else one for one in pattern] for pattern in patterns]


def _groups(tokens: Sequence[_Token]) -> list[list[int]]:
    """Return the positions of the brace, the commas and the closing brace of each group of alternatives."""
    open_groups: list[list[int]] = []
    groups: list[list[int]] = []
    for position, token in enumerate(tokens):
        if token.kind == "open":
            open_groups.append([position])
        elif token.kind == "comma" and open_groups:
            open_groups[-1].append(position)
        elif token.kind == "close" and open_groups:
            group = [*open_groups.pop(), position]
            if len(group) > 2:
                groups.append(group)
    return groups


def _parts(tokens: Sequence[_Token]) -> list[list[_Token]]:
    """Return the tokens of each name, without empty ones."""
    parts: list[list[_Token]] = [[]]
    for token in tokens:
        if token.kind == "slash":
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]
