"""Handlers: one class per family of commands and queries. Handlers process messages and publish domain events."""
