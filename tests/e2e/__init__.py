"""The installed command as its users meet it: the official Python client, a shell, signals.

Nothing here reaches into the product; it starts the command and watches from outside.
"""
