"""require TLS, priority, what a user sent, greylist"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import mailgov.db.types

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "greylist",
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("first_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("last_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("passes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    with op.batch_alter_table("greylist", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_greylist_last_at"), ["last_at"], unique=False)

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("require_tls", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
        batch_op.create_index("ix_message_login", ["login", "accepted_at"], unique=False)
