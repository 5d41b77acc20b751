"""Plugins that the tests run the server with; they import only `tfo_mcp.plugins` of the product.

The server process loads them; tests never import them. They know no transport and no revision.
"""
