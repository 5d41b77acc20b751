"""Revision 1: the API keys."""

from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Do nothing: a database without tables gets all of them at once (`schema`)."""


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("tfo_key_changes")
    op.drop_table("tfo_api_keys")
