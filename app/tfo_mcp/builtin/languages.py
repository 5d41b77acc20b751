"""Programming languages: their names, and which one a file or a piece of code is probably written in.

A file is recognized by its name, code by its first line or by constructs that few other languages have. Code without
such constructs has no known language: a wrong name would mislead a model more than none.
"""

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

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
_SUFFIXES: Mapping[str, str] = {
    suffix: language
    for language, suffixes in {
        "Bash": "sh bash zsh",
        "C": "c h",
        "C#": "cs",
        "C++": "cc cpp cxx hh hpp hxx",
        "Clojure": "clj cljs edn",
        "CSS": "css",
        "Dart": "dart",
        "Elixir": "ex exs",
        "Erlang": "erl hrl",
        "F#": "fs fsx",
        "Go": "go",
        "GraphQL": "graphql gql",
        "Groovy": "groovy gradle",
        "Haskell": "hs",
        "HCL": "hcl tf",
        "HTML": "htm html",
        "Java": "java",
        "JavaScript": "cjs js jsx mjs",
        "JSON": "json",
        "Julia": "jl",
        "Kotlin": "kt kts",
        "Lua": "lua",
        "Objective-C": "mm",
        "OCaml": "ml mli",
        "Perl": "pl pm",
        "PHP": "php",
        "PowerShell": "ps1 psm1",
        "Python": "py pyi",
        "R": "r",
        "Ruby": "rb",
        "Rust": "rs",
        "Scala": "scala sc",
        "SQL": "sql",
        "Swift": "swift",
        "TOML": "toml",
        "TypeScript": "cts mts ts tsx",
        "XML": "xml xsd xsl",
        "YAML": "yaml yml",
        "Zig": "zig",
    }.items()
    for suffix in suffixes.split()
}
_INTERPRETERS = (
    (r"python[\d.]*", "Python"),
    (r"(?:ba|z|da|k)?sh", "Bash"),
    (r"node|deno|bun", "JavaScript"),
    (r"perl", "Perl"),
    (r"ruby", "Ruby"),
    (r"php", "PHP"),
    (r"Rscript", "R"),
    (r"lua[\d.]*", "Lua"),
)
_CONSTRUCTS = tuple(
    (re.compile(pattern, re.MULTILINE), language)
    for pattern, language in (
        (r"\A\s*<\?php\b", "PHP"),
        (r"\A\s*<\?xml\b", "XML"),
        (r"\A\s*(?i:<!doctype html|<html\b)", "HTML"),
        (r"^FROM \S+(?: AS \S+)?\n(?s:.*)^(?:RUN|COPY|CMD|ENTRYPOINT|WORKDIR) ", "Dockerfile"),
        (r"^package \w+\s*$(?s:.*)^(?:func|import|type|var|const)\b", "Go"),
        (r"^func (?:\(\w+ \*?\w+\) )?\w+\([^)]*\)[^{\n:>]*\{", "Go"),
        (r"^\s*(?:pub )?fn \w+(?:<[^>]*>)?\([^)]*\)(?: -> [^{]+)? \{|\blet mut \w|\bprintln!\(", "Rust"),
        (r"^\s*#include\s*<(?:iostream|string|vector|map|memory)>|\bstd::\w", "C++"),
        (r"^\s*#include\s*[<\"]", "C"),
        (r"^\s*using System\b|\bConsole\.WriteLine\(", "C#"),
        (r"\bpublic (?:final )?(?:class|interface|enum|static void) |\bSystem\.out\.print", "Java"),
        (r"^\s*(?:private |internal |override |suspend )*fun (?:<\w+> )?\w+\(.*\).*[{=]", "Kotlin"),
        (r"^\s*(?:async )?def \w+\(.*\)(?: -> .+)?:\s*(?:#.*)?$|^from [\w.]+ import |^\s*elif .+:\s*$", "Python"),
        (r"^import \w[\w.]*(?: as \w+)?$(?s:.*)^\s*(?:print\(|for \w+ in |if .+:$|class \w+)", "Python"),
        (r"^\s*defmodule [\w.]+ do\b", "Elixir"),
        (r"^\s*def \w+[?!]?(?:\(.*\))?\s*$(?s:.*)^\s*end\b", "Ruby"),
        (
            r"^\s*(?:export )?(?:interface \w+ \{|type \w+ = )|\b(?:const|let) \w+: \w|\): \w[\w<>\[\]]* (?:=>|\{)",
            "TypeScript",
        ),
        (r"^\s*(?:const|let|var) \w+ = |\bfunction\*? \w*\(.*\) \{|\) => [{(]|\bmodule\.exports\b", "JavaScript"),
        (r"^\s*(?i:select\b.+\bfrom\b|insert into\b|create (?:table|index|view)\b|update \w+ set\b)", "SQL"),
        (r"^\s*(?:if \[\[? .+ \]\]?; then|for \w+ in .+; do)$|^\s*(?:done|fi|esac)$", "Bash"),
    )
)
_BEGINNING = 4_000  # characters that are searched for constructs, which takes time by the square of their lines
_LONGEST_JSON = 100_000  # characters


def language_of_file(name: str) -> str:
    """Return the language of a file by its name, empty if it is not known."""
    path = PurePosixPath(name)
    if path.name.lower().startswith(("dockerfile", "containerfile")):
        return "Dockerfile"
    return _SUFFIXES.get(path.suffix[1:].lower(), "")


def language_of_code(code: str) -> str:
    """Return the language of code by its constructs, empty if it is not known."""
    beginning = code[:_BEGINNING]
    if beginning.startswith("#!"):
        program = re.split(r"[/ ]", beginning.partition("\n")[0].removesuffix("\r"))[-1]
        return next((language for pattern, language in _INTERPRETERS if re.fullmatch(pattern, program)), "")
    if _is_json(code):
        return "JSON"
    return next((language for construct, language in _CONSTRUCTS if construct.search(beginning)), "")


def _is_json(code: str) -> bool:
    if len(code) > _LONGEST_JSON or code.strip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(code)
    except (ValueError, RecursionError):
        return False
    return True
