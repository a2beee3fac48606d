"""acts planned for a day"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import mailgov.db.types

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "planned_act",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=254), nullable=False),
        sa.Column("agency_code", sa.String(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("ended_at", mailgov.db.types.Moment(timezone=True), nullable=True),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("failure", sa.String(), nullable=False),
        sa.Column("failure_fields", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("planned_act", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_planned_act_agency_code"), ["agency_code"], unique=False
        )
        batch_op.create_index("ix_planned_act_state_on", ["state", "on_day"], unique=False)
        batch_op.create_index(batch_op.f("ix_planned_act_subject"), ["subject"], unique=False)
