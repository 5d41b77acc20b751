"""Revision 5: usage, quotas and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "tfo_audit",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
    )
    op.create_index("tfo_audit_time", "tfo_audit", ["time"])
    op.create_table(
        "tfo_quotas",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("full_at", sa.Double, nullable=False),
    )
    op.create_table(
        "tfo_usage",
        sa.Column("principal", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
    )
    op.create_index("tfo_usage_day", "tfo_usage", ["day"])


def downgrade() -> None:
    """Drop the tables."""
    for name in ("tfo_usage", "tfo_quotas", "tfo_audit"):
        op.drop_table(name)
