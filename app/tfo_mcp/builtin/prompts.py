"""The built-in prompts: code_review, explain_code, debug_help.

Owns the prompt texts and the completion of their arguments. Code is wrapped in a code fence that is longer than any
fence inside it; a file is embedded as a resource. Without a language, it is recognized. Languages outside the
completion list are accepted.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from tfo_mcp.builtin.languages import LANGUAGES, language_of_code, language_of_file
from tfo_mcp.builtin.media import text_type
from tfo_mcp.plugins import Context, EmbeddedResource, PromptMessage, TextContents, ToolError, prompt, text_of, user

DETAIL_LEVELS: Mapping[str, str] = {
    "brief": "Explain in a few sentences what it does.",
    "standard": "Explain what it does and how, part by part.",
    "detailed": "Explain it line by line: what each part does, why it is written this way, its performance cost, and "
    "which cases it does not handle.",
}
_BACKTICKS = re.compile(r"`{3,}")

Code = Annotated[str, Field(min_length=1, description="Source code, or the file: URI of a file in a root.")]
Language = Annotated[
    str, Field(max_length=40, pattern=r"^[\w+#./ -]*$", description="Programming language. Default: recognized.")
]
DetailLevel = Annotated[
    Literal["brief", "standard", "detailed"],
    Field(description="Level of detail: brief, standard (default) or detailed."),
]


async def _languages(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    return _beginning_with(typed, LANGUAGES)


async def _detail_levels(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    return _beginning_with(typed, DETAIL_LEVELS)


@prompt(title="Review code", complete={"language": _languages})
async def code_review(code: Code, ctx: Context, language: Language = "") -> list[PromptMessage]:
    """Review code for bugs, security problems, readability and performance."""
    source = await _source(code, language, ctx)
    return source.asking(
        f"Review {source.this}. List your findings, most important first:\n"
        "1. bugs, and inputs for which the code fails;\n"
        "2. security problems;\n"
        "3. code that is hard to understand or to change;\n"
        "4. performance problems.\n"
        "For each finding, say where it is, why it matters and how to fix it. If there are no findings, say so."
    )


@prompt(title="Explain code", complete={"language": _languages, "detail_level": _detail_levels})
async def explain_code(
    code: Code, ctx: Context, language: Language = "", detail_level: DetailLevel = "standard"
) -> list[PromptMessage]:
    """Explain what the code does, briefly or in detail."""
    source = await _source(code, language, ctx)
    return source.asking(f"Explain {source.this}. {DETAIL_LEVELS[detail_level]}")


@prompt(title="Help with an error", complete={"language": _languages})
async def debug_help(
    code: Code,
    error: Annotated[str, Field(min_length=1, description="Error message, or a description of what goes wrong.")],
    ctx: Context,
    language: Language = "",
) -> list[PromptMessage]:
    """Find the cause of an error and suggest a fix."""
    source = await _source(code, language, ctx)
    return source.asking(
        f"{source.this[0].upper()}{source.this[1:]} fails. The error is:\n\n{_fenced(error, '')}\n\n"
        "Find the cause, show the smallest change that fixes it, and explain how to verify the fix. If several causes "
        "are possible, explain how to tell them apart."
    )


class _Source(NamedTuple):
    """Code from the arguments, or a file with its URI."""

    text: str
    language: str
    uri: str | None = None

    @property
    def this(self) -> str:
        code = f"{self.language} code" if self.language.strip() else "code"
        return f"this {code}" if self.uri is None else f"the {code} in {self.uri}"

    def asking(self, question: str) -> list[PromptMessage]:
        """Return the messages of a question about the code; a file is a message of its own."""
        if self.uri is None:
            return [user(f"{question}\n\n{_fenced(self.text, self.language)}")]
        return [user(question), user(EmbeddedResource(TextContents(self.uri, self.text, text_type(self.uri))))]


async def _source(code: str, language: str, ctx: Context) -> _Source:
    """Return the code with its language, read from a file if it is the URI of one.

    Raises:
        ToolError: the file cannot be read, or the caller may not read files.
    """
    uri = code.strip()
    if not uri.startswith("file:") or "\n" in uri:
        return _Source(code, language.strip() or language_of_code(code))
    if not ctx.caller.may("resources:read"):
        raise ToolError("A file in a prompt needs the scope resources:read: send the code itself")
    text = text_of(await ctx.files.read(uri))
    if text is None:
        raise ToolError(f"{uri} is not text")
    return _Source(text, language.strip() or language_of_file(uri) or language_of_code(text), uri)


def _beginning_with(typed: str, values: Iterable[str]) -> list[str]:
    return [value for value in values if value.casefold().startswith(typed.casefold())]


def _fenced(text: str, language: str) -> str:
    """Return the text in a code fence that is longer than any run of backticks in the text."""
    fence = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(text))])
    return f"{fence}{language.strip().lower()}\n{text}\n{fence}"
