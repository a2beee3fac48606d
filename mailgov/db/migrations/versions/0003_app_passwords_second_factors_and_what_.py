"""app passwords, second factors, and what guards signing in"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import mailgov.db.types

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "sign_in_failure",
        sa.Column("name_hash", sa.String(length=64), nullable=False),
        sa.Column("network", sa.String(length=43), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name_hash", "network"),
    )
    with op.batch_alter_table("sign_in_failure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sign_in_failure_since"), ["since"], unique=False)

    op.create_table(
        "known_place",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mailbox_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.Column("seen_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mailbox_id", "kind", "value"),
    )
    with op.batch_alter_table("known_place", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_known_place_mailbox_id"), ["mailbox_id"], unique=False)

    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mailbox_id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", mailgov.db.types.Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("recovery_code", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_recovery_code_mailbox_id"), ["mailbox_id"], unique=False
        )

    op.create_table(
        "second_factor",
        sa.Column("mailbox_id", sa.Integer(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("created_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("confirmed_at", mailgov.db.types.Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
        ),
        sa.PrimaryKeyConstraint("mailbox_id"),
    )
    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.add_column(sa.Column("scopes", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("verifier", sa.String(), server_default="", nullable=False))
        batch_op.add_column(
            sa.Column("last_used_from", sa.String(), server_default="", nullable=False)
        )
