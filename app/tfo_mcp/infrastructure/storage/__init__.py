"""Storage: what outlives the process, in an SQLite file or a PostgreSQL database.

`sqlite` and `postgres` run transactions, `failures` tells errors apart, and `database` bounds each access in time and
notices an outage. `tables` names the columns, and `schema` migrates them with the scripts in `migrations`. `keys`
stores API keys, `sessions` the sessions, `conversations` those with a language model, and `maintenance` does the
periodic work. `access` checks and migrates. One implementation serves both engines. Imported only if `storage.url`
names a database, because its libraries are an extra.
"""
