"""The telemetry tools, resources and prompts: what an assistant reads of stored traces, logs and metrics.

Registered if the server has a telemetry store. Each answer repeats its period in UTC, fences foreign text, keeps to a
budget in tokens, and says what was cut and how to see it. The modules know `tfo_mcp.plugins` and `tfo_mcp.analysis`.
"""
