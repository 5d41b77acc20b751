"""Queries of a view: one module per kind of answer; `rows` makes records of rows."""
