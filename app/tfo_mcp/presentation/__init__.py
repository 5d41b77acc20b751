"""The presentation layer: MCP over JSON-RPC, without sockets.

Decodes frames into calls, maps calls to commands and queries, and encodes the results as frames of the negotiated
protocol revision. A frame is one JSON-RPC message or batch as bytes.
"""
