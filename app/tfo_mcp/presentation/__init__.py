"""The presentation: the MCP server as a JSON-RPC conversation, without sockets.

Turns frames into calls, calls into commands and queries, and their answers into frames of the revision in use.
"""
