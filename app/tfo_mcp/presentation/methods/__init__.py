"""Methods: wire params to a command or query, and its answer to a wire result; one module per family.

A method knows no transport and decides nothing that a revision decides: it asks the call's era and revision.
"""
