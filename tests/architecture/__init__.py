"""The rules of the house that no linter knows: read from the sources, never run."""
