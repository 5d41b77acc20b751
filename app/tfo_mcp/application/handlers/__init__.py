"""Handlers: one class per family of commands and queries; each answers messages and publishes what happened."""
