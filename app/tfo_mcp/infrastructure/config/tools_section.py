"""Defines the section `tools`: which tools are offered, and the size of their results. Must not know the tools."""

from typing import Literal

from pydantic import Field

from tfo_mcp.infrastructure.config.sections import Section
from tfo_mcp.infrastructure.config.shapes import Texts, Whole


class ToolsSettings(Section):
    """Which tools are offered to clients, on every transport, and the size of their results."""

    preset: Literal["all", "read-only", "files", "coding"] = Field(
        default="all",
        description="Set of tools to offer. `read-only`: the tools that change nothing, those of plugins included. "
        "`files`: the file tools and the tools of plugins. `coding`: these and execute_command. `all`: every tool, "
        "unless `enabled` is set.",
    )
    enabled: Texts = Field(
        default=[],
        description="Names of tools to offer in addition to the preset; with the preset `all`, only these. `*` matches "
        "any characters, e.g. `read_*`.",
    )
    disabled: Texts = Field(
        default=[],
        description="Names of tools that are not offered, whatever `preset` and `enabled` say. `*` matches any "
        "characters.",
    )
    max_result_bytes: Whole = Field(
        default=40_000,
        ge=1000,
        description="Maximum bytes of text in a result of read_file, list_directory, search_files and edit_file. "
        "Longer text is truncated, and the result gives the arguments to continue with. Some hosts cut off results "
        "above 50,000 characters.",
    )
