"""TLS policies of other domains"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import mailgov.db.types

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "sts_policy",
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("policy_id", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("mx", sa.JSON(), nullable=False),
        sa.Column("fetched_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("expires_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain"),
    )
    with op.batch_alter_table("sts_policy", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sts_policy_expires_at"), ["expires_at"], unique=False)
