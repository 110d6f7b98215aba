"""Accounts, and the keys certified for them."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "accounts",
        sql.Column("name", sql.Text, primary_key=True),
        sql.Column("salt", sql.LargeBinary, nullable=False),
        sql.Column("proof", sql.LargeBinary, nullable=False),
        sql.Column("created", sql.BigInteger, nullable=False),
    )
    op.create_table(
        "certified_keys",
        sql.Column("number", sql.Integer, primary_key=True),
        sql.Column("name", sql.Text, nullable=False),
        sql.Column("key", sql.LargeBinary, nullable=False),
        sql.Column("certified", sql.BigInteger, nullable=False),
    )
    op.create_index("certified_keys_by_name", "certified_keys", ["name"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("certified_keys")
    op.drop_table("accounts")
