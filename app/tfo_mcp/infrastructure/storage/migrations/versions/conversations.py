"""Revision 4: the conversations with a language model."""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "tfo_conversations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("used", sa.Double, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("tfo_conversations_owner", "tfo_conversations", ["owner", "used"])
    op.create_index("tfo_conversations_used", "tfo_conversations", ["used"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("tfo_conversations")
