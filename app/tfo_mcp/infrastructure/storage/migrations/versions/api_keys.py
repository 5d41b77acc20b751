"""Revision 1: the API keys."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "tfo_api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
        sa.Column("revoked", sa.Double),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False),
    )
    op.create_index("tfo_api_keys_change", "tfo_api_keys", ["change"])
    changes = op.create_table("tfo_key_changes", sa.Column("last", sa.BigInteger, nullable=False))
    op.bulk_insert(changes, [{"last": 0}])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("tfo_key_changes")
    op.drop_table("tfo_api_keys")
