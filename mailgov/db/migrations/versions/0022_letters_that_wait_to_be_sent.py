"""letters that wait to be sent"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import mailgov.db.types

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.batch_alter_table("draft", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("due_at", mailgov.db.types.Moment(timezone=True), nullable=True)
        )
        batch_op.create_index(batch_op.f("ix_draft_due_at"), ["due_at"], unique=False)
