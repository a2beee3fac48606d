"""Reports on mail and TLS of domains, dates of signing keys"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import mailgov.db.types

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "dmarc_result",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("policy_domain", sa.String(length=255), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("source_ip", sa.String(), nullable=False),
        sa.Column("header_from", sa.String(), nullable=False),
        sa.Column("envelope_from", sa.String(), nullable=False),
        sa.Column("disposition", sa.String(), nullable=False),
        sa.Column("dkim", sa.String(), nullable=False),
        sa.Column("spf", sa.String(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("auth", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("dmarc_result", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dmarc_result_at"), ["at"], unique=False)
        batch_op.create_index("ix_dmarc_result_domain_at", ["policy_domain", "at"], unique=False)

    op.create_table(
        "received_report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(length=255), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("report_id", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("begins_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("ends_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("received_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "organisation", "report_id", "domain"),
    )
    with op.batch_alter_table("received_report", schema=None) as batch_op:
        batch_op.create_index("ix_received_report_domain", ["domain", "begins_at"], unique=False)

    op.create_table(
        "sent_report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("begins_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("ends_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("recipients", sa.JSON(), nullable=False),
        sa.Column("queue_id", sa.String(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("made_at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "domain", "begins_at"),
    )
    with op.batch_alter_table("sent_report", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sent_report_made_at"), ["made_at"], unique=False)

    op.create_table(
        "tls_result",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", mailgov.db.types.Moment(timezone=True), nullable=False),
        sa.Column("policy_domain", sa.String(length=255), nullable=False),
        sa.Column("policy_type", sa.String(), nullable=False),
        sa.Column("policy_strings", sa.JSON(), nullable=False),
        sa.Column("mx_hosts", sa.JSON(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("sending_ip", sa.String(), nullable=False),
        sa.Column("receiving_host", sa.String(), nullable=False),
        sa.Column("receiving_ip", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("tls_result", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tls_result_at"), ["at"], unique=False)
        batch_op.create_index("ix_tls_result_domain_at", ["policy_domain", "at"], unique=False)

    op.create_table(
        "received_row",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("disposition", sa.String(), nullable=False),
        sa.Column("dkim", sa.String(), nullable=False),
        sa.Column("spf", sa.String(), nullable=False),
        sa.Column("header_from", sa.String(), nullable=False),
        sa.Column("envelope_from", sa.String(), nullable=False),
        sa.Column("policy_type", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("receiving_host", sa.String(), nullable=False),
        sa.Column("auth", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["received_report.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("received_row", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_received_row_report_id"), ["report_id"], unique=False)

    with op.batch_alter_table("dkim_key", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("activate_at", mailgov.db.types.Moment(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("seen_at", mailgov.db.types.Moment(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("activated_at", mailgov.db.types.Moment(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("withdraw_at", mailgov.db.types.Moment(timezone=True), nullable=True)
        )
