"""Behaviours that the specification demands of a server, each over every transport and revision that it is for.

A test's docstring names the items of the checklist (`docs/protocol.md`) that it shows; a file holds one part of it.
"""
