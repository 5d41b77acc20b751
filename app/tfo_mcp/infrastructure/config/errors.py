"""The error of the configuration: every problem that was found, each as one sentence that names its source.

Must not carry a configured value: problems are shown on terminals and kept in logs.
"""


class ConfigurationError(Exception):
    """The configuration cannot be used; `problems` has one line for each reason."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
