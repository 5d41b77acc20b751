"""Behaviour tests: what the specification requires of a server, over every transport and revision concerned.

A docstring names the requirements of `docs/requirements.md` that its test holds.
"""
