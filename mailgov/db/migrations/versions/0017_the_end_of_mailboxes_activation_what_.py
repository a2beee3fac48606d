"""the end of mailboxes, activation, what holders were told"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import mailgov.db.types

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "activation",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("mailbox_id", sa.Integer(), nullable=False),
        sa.Column("created_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("expires_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("ended_at", mailgov.db.types.Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
        ),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    with op.batch_alter_table("activation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_activation_mailbox_id"), ["mailbox_id"], unique=False)

    op.create_table(
        "told",
        sa.Column("mailbox_id", sa.Integer(), nullable=False),
        sa.Column("matter", sa.String(length=20), nullable=False),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "matter"),
    )
    with op.batch_alter_table("agency", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("grace_months", sa.Integer(), server_default="0", nullable=False)
        )
        batch_op.add_column(
            sa.Column("leader_grace_months", sa.Integer(), server_default="0", nullable=False)
        )
        batch_op.add_column(
            sa.Column("retention_months", sa.Integer(), server_default="0", nullable=False)
        )
        batch_op.add_column(sa.Column("reviewed_on", sa.Date(), nullable=True))

    with op.batch_alter_table("mailbox", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("reopened_at", mailgov.db.types.Moment(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("recalled_at", mailgov.db.types.Moment(timezone=True), nullable=True)
        )
        batch_op.add_column(sa.Column("readable_until", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("kept_until", sa.Date(), nullable=True))
        batch_op.add_column(
            sa.Column("holder_reads", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("contact", sa.String(length=254), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column("receipt", sa.String(length=40), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column("removed_at", mailgov.db.types.Moment(timezone=True), nullable=True)
        )

    with op.batch_alter_table("person", schema=None) as batch_op:
        batch_op.add_column(sa.Column("contract_months", sa.Integer(), nullable=True))
