"""Which text of a result is repeated in its structured content: hosts may give both to the model."""

import json

_MOST_CHARACTERS = 8_000  # as JSON, in which a character can take six
_MOST_IN_OBJECTS = 30_000
_FIELD_CHARACTERS = 100  # of the names and the other values of an object, about


def is_repeated(*texts: str, objects: int = 0) -> bool:
    """Return whether these texts of one result are short enough to be repeated in its structured content.

    Args:
        texts: the texts.
        objects: the number of objects that would repeat them; each has field names and further values.
    """
    if sum(map(len, texts)) > _MOST_IN_OBJECTS:
        return False
    characters = sum(len(json.dumps(text, ensure_ascii=False)) for text in texts)
    if objects:
        return 2 * characters + objects * _FIELD_CHARACTERS <= _MOST_IN_OBJECTS
    return characters <= _MOST_CHARACTERS
