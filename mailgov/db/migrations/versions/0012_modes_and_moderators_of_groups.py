"""forwards, modes and moderators of groups"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import mailgov.db.types

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "forward",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mailbox_id", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(length=254), nullable=False),
        sa.Column("keep_copy", sa.Boolean(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("created_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("told_at", mailgov.db.types.Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mailbox_id", "target"),
    )
    with op.batch_alter_table("forward", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_forward_mailbox_id"), ["mailbox_id"], unique=False)

    op.create_table(
        "group_mode",
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["mailbox.id"],
        ),
        sa.PrimaryKeyConstraint("group_id"),
    )
    op.create_table(
        "group_moderator",
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("mailbox_id", sa.Integer(), nullable=False),
        sa.Column("created_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["mailbox.id"],
        ),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
        ),
        sa.PrimaryKeyConstraint("group_id", "mailbox_id"),
    )
    with op.batch_alter_table("group_moderator", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_group_moderator_mailbox_id"), ["mailbox_id"], unique=False
        )
