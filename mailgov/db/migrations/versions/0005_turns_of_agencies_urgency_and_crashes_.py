"""turns of agencies, urgency and crashes in the queue"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.batch_alter_table("recipient", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lane", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("rank", sa.Integer(), server_default="3", nullable=False))
        batch_op.add_column(sa.Column("crashes", sa.Integer(), server_default="0", nullable=False))
        batch_op.drop_index(batch_op.f("ix_recipient_destination"))
        batch_op.drop_index(batch_op.f("ix_recipient_due"))
        batch_op.create_index(
            "ix_recipient_due", ["state", "rank", "next_attempt_at"], unique=False
        )
        batch_op.create_index(
            "ix_recipient_lane", ["state", "rank", "lane", "next_attempt_at"], unique=False
        )
    op.execute(
        "UPDATE recipient SET lane = destination || ' ' || (SELECT agency_code FROM message"
        " WHERE message.id = recipient.message_id)"
    )
