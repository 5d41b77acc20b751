"""The scripts that create and change the tables, which Alembic runs."""
