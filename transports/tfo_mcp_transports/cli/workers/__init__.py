"""Several processes behind one listening socket.

`pool` is the parent: it forks the workers, replaces those that end, and passes signals on. `server` is what runs in a
worker. `composition` builds both, `parent_link` connects them, and `signal_queue` holds the parent's signals. The
parent has neither an event loop nor threads, since it forks during its whole life (docs/adr/0025).
"""
