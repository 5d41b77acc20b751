"""Text of others on a terminal. Knows no command."""


def one_line(text: object) -> str:
    """Return text from a tool or a server for one line of a terminal: without control characters."""
    return "".join(character if character.isprintable() else " " for character in str(text))
