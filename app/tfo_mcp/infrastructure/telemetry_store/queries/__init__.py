"""Queries of the tables: one module per kind of answer; `sql` translates selections, `rows` makes records of rows."""
