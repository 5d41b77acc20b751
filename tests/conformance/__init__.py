"""The official conformance suite against the built server, with a fixture that is one of our own plugins.

The suite is a Node.js program; the root's package.json pins it and the Node.js that runs it.
"""
