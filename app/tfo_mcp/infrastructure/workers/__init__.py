"""What the worker processes of one server share: `scoreboard` is memory of all of them, `alone` serves a single one."""
