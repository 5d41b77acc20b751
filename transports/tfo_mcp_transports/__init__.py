"""Driving adapters: the transports that carry JSON-RPC frames, and the command line that starts them."""
