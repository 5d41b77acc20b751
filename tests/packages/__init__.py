"""What hosts and registries are given: the MCPB bundle and server.json."""
