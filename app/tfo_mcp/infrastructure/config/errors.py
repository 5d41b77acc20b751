"""The configuration error, which lists every problem found; each problem names its source.

Must not contain configured values: problems are printed to terminals and logs.
"""


class ConfigurationError(Exception):
    """The configuration is invalid; `problems` has one line per problem."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
