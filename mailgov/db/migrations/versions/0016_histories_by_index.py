"""histories by index"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_event_change_agency",
            ["agency_code", "mailbox", "id"],
            unique=False,
            sqlite_where=sa.text("kind = 'directory.changed'"),
            postgresql_where=sa.text("kind = 'directory.changed'"),
        )
        batch_op.create_index(
            "ix_event_change_mailbox",
            ["mailbox", "id"],
            unique=False,
            sqlite_where=sa.text("kind = 'directory.changed'"),
            postgresql_where=sa.text("kind = 'directory.changed'"),
        )
