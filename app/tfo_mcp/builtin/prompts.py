"""The built-in prompts: code_review, explain_code, debug_help.

Owns the prompt texts and the completion of their arguments. Code is wrapped in a code fence that is longer than any
fence inside it. Languages outside the completion list are accepted.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.plugins import PromptMessage, prompt, user

DETAIL_LEVELS: Mapping[str, str] = {
    "brief": "Explain in a few sentences what it does.",
    "standard": "Explain what it does and how, part by part.",
    "detailed": "Explain it line by line: what each part does, why it is written this way, its performance cost, and "
    "which cases it does not handle.",
}
LANGUAGES = (
    "Bash",
    "C",
    "C#",
    "C++",
    "Clojure",
    "CSS",
    "Dart",
    "Dockerfile",
    "Elixir",
    "Erlang",
    "F#",
    "Go",
    "GraphQL",
    "Groovy",
    "Haskell",
    "HCL",
    "HTML",
    "Java",
    "JavaScript",
    "JSON",
    "Julia",
    "Kotlin",
    "Lua",
    "MATLAB",
    "Objective-C",
    "OCaml",
    "Perl",
    "PHP",
    "PowerShell",
    "Python",
    "R",
    "Ruby",
    "Rust",
    "Scala",
    "SQL",
    "Swift",
    "TOML",
    "TypeScript",
    "XML",
    "YAML",
    "Zig",
)
_BACKTICKS = re.compile(r"`{3,}")

Code = Annotated[str, Field(min_length=1, description="Source code.")]
Language = Annotated[
    str, Field(max_length=40, pattern=r"^[\w+#./ -]*$", description="Programming language of the code. Optional.")
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
async def code_review(code: Code, language: Language = "") -> PromptMessage:
    """Review code for bugs, security problems, readability and performance."""
    return user(
        f"Review this {_code_in(language)}. List your findings, most important first:\n"
        "1. bugs, and inputs for which the code fails;\n"
        "2. security problems;\n"
        "3. code that is hard to understand or to change;\n"
        "4. performance problems.\n"
        "For each finding, say where it is, why it matters and how to fix it. If there are no findings, say so.\n\n"
        f"{_fenced(code, language)}"
    )


@prompt(title="Explain code", complete={"language": _languages, "detail_level": _detail_levels})
async def explain_code(code: Code, language: Language = "", detail_level: DetailLevel = "standard") -> PromptMessage:
    """Explain what the code does, briefly or in detail."""
    return user(f"Explain this {_code_in(language)}. {DETAIL_LEVELS[detail_level]}\n\n{_fenced(code, language)}")


@prompt(title="Help with an error", complete={"language": _languages})
async def debug_help(
    code: Code,
    error: Annotated[str, Field(min_length=1, description="Error message, or a description of what goes wrong.")],
    language: Language = "",
) -> PromptMessage:
    """Find the cause of an error and suggest a fix."""
    return user(
        f"This {_code_in(language)} fails:\n\n{_fenced(code, language)}\n\n"
        f"The error is:\n\n{_fenced(error, '')}\n\n"
        "Find the cause, show the smallest change that fixes it, and explain how to verify the fix. If several causes "
        "are possible, explain how to tell them apart."
    )


def _beginning_with(typed: str, values: Iterable[str]) -> list[str]:
    return [value for value in values if value.casefold().startswith(typed.casefold())]


def _code_in(language: str) -> str:
    return f"{language} code" if language.strip() else "code"


def _fenced(text: str, language: str) -> str:
    """Return the text in a code fence that is longer than any run of backticks in the text."""
    fence = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(text))])
    return f"{fence}{language.strip().lower()}\n{text}\n{fence}"
