"""The installed command.

Imports the application with the garbage collector off: nothing that is imported is ever garbage, and looking through it
again and again is a fifth of the start-up time. Afterwards what is there is left out of all later collections.
"""

import gc


def main() -> None:
    """Run the command line."""
    gc.disable()
    from transports.cli.application import run

    gc.enable()
    gc.freeze()
    run()
