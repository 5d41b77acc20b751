"""Asks three other MCP servers the questions of the evaluation, over the same records in their own backends."""
