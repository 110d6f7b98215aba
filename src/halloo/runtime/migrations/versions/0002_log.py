"""The log of certified keys: numbered, chained, public.  What was certified before is kept until it is entered."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the log; set the keys of before aside, for the first server that starts to enter them."""
    op.create_table(
        "log_entries",
        sql.Column("number", sql.BigInteger, primary_key=True, autoincrement=False),
        sql.Column("kind", sql.SmallInteger, nullable=False),
        sql.Column("name", sql.LargeBinary, nullable=False),
        sql.Column("key", sql.LargeBinary, nullable=False),
        sql.Column("wall", sql.BigInteger, nullable=False),
        sql.Column("previous", sql.LargeBinary, nullable=False),
        sql.Column("previous_of_name", sql.LargeBinary, nullable=False),
    )
    op.create_index("log_entries_by_name", "log_entries", ["name", "number"])
    revoked = sql.text("kind = 2")
    op.create_index(
        "log_entries_revoked", "log_entries", ["number"], sqlite_where=revoked, postgresql_where=revoked
    )
    op.drop_index("certified_keys_by_name", "certified_keys")
    op.rename_table("certified_keys", "certified_before_log")


def downgrade() -> None:
    """Take the log away."""
    op.rename_table("certified_before_log", "certified_keys")
    op.create_index("certified_keys_by_name", "certified_keys", ["name"])
    op.drop_table("log_entries")
