"""End-to-end tests of the installed command, with real clients, a browser, a shell and signals.

Nothing here imports the product's internals; tests start the command and observe it from outside.
"""
