"""Which text of a result is repeated in its structured content: hosts may give both to the model."""

_MOST_CHARACTERS = 20_000


def is_repeated(*texts: str) -> bool:
    """Return whether these texts of one result are short enough to be repeated in its structured content."""
    return sum(map(len, texts)) <= _MOST_CHARACTERS
