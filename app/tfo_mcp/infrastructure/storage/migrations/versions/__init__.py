"""One module per revision of the schema; each names the revision before it."""
