"""The `tfo-mcp` command: one module per sub-command."""
