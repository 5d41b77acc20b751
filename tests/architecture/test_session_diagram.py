"""The diagram of session states in docs/architecture.md matches the table of transitions.

After a change of the table, `python -m tests.architecture.test_session_diagram` prints the new block.
"""

import re

from tests.architecture.sources import PROJECT
from tfo_mcp.domain.session import TRANSITIONS, SessionState

PAGE = PROJECT / "docs" / "architecture.md"
BEGIN, END = "<!-- session-states -->", "<!-- /session-states -->"


def rendered_diagram() -> str:
    """Return the block of the page, from marker to marker: a state diagram in Mermaid."""
    initial, final = next(iter(SessionState)), list(SessionState)[-1]
    arrows = [
        f"    {state.name} --> {following.name}: {step.value}" for (state, step), following in TRANSITIONS.items()
    ]
    lines = [
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {initial.name}",
        *arrows,
        f"    {final.name} --> [*]",
        "```",
    ]
    return "\n".join([BEGIN, *lines, END])


def test_the_page_shows_the_table_of_transitions() -> None:
    blocks = re.findall(rf"{BEGIN}.*?{END}", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks == [rendered_diagram()]


def test_the_diagram_shows_every_state_and_every_step() -> None:
    diagram = rendered_diagram()
    assert all(state.name in diagram for state in SessionState)
    assert diagram.count(" --> ") == len(TRANSITIONS) + 2


if __name__ == "__main__":
    print(rendered_diagram())
