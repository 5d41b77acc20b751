"""The plugins that the behaviour suite runs the server with, written with `tfo_mcp.plugins` alone.

Loaded by the server process and never by a test. They know no transport and no revision.
"""
