"""Project rules that no linter checks, tested by reading the sources."""
