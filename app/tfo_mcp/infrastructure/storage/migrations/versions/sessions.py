"""Revision 2: the sessions."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "tfo_sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("used", sa.Double, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("tfo_sessions_used", "tfo_sessions", ["used"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("tfo_sessions")
