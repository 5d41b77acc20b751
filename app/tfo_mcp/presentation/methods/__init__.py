"""Method handlers: convert params to a command or query, and its result to a protocol result; one module per family.

Handlers know no transport, and leave differences between protocol revisions to the call's era and revision.
"""
