"""Every rule, in the order in which findings of equal gravity are told.

What must be known before anything else comes first: a secret, a message too large to be read, one
with two readings, a forged sender; then what is dangerous to open; then what is wrong with the document.
"""

from mailgov_policies.rule import Rule
from mailgov_policies.rules import (
    active_content,
    annex_signed,
    archive_bomb,
    authentication_failed,
    bulk_limit,
    circulation_internal,
    declared_conflict,
    diacritics,
    disguised_file,
    display_name_spoof,
    document_type_permitted,
    encrypted_archive,
    executable,
    file_format,
    freemail_inbound_document,
    freemail_outbound,
    legacy_encoding,
    legacy_encoding_possible,
    lookalike_domain,
    macro,
    malformed,
    message_size,
    notation_form,
    secret_mark,
    send_deadline,
    sender_identity,
    sender_official_domain,
    signature_untrusted,
    signature_valid,
    subject_line,
    two_signatures,
    unscannable,
    unsigned_needs_scan,
    urgent_alert,
)

RULES: tuple[Rule, ...] = (
    secret_mark.RULE,
    message_size.RULE,
    malformed.RULE,
    sender_identity.RULE,
    sender_official_domain.RULE,
    authentication_failed.RULE,
    lookalike_domain.RULE,
    display_name_spoof.RULE,
    freemail_inbound_document.RULE,
    freemail_outbound.RULE,
    circulation_internal.RULE,
    bulk_limit.RULE,
    archive_bomb.RULE,
    disguised_file.RULE,
    executable.RULE,
    macro.RULE,
    active_content.RULE,
    encrypted_archive.RULE,
    unscannable.RULE,
    signature_valid.RULE,
    legacy_encoding.RULE,
    legacy_encoding_possible.RULE,
    file_format.RULE,
    document_type_permitted.RULE,
    unsigned_needs_scan.RULE,
    signature_untrusted.RULE,
    two_signatures.RULE,
    annex_signed.RULE,
    send_deadline.RULE,
    declared_conflict.RULE,
    notation_form.RULE,
    subject_line.RULE,
    diacritics.RULE,
    urgent_alert.RULE,
)

RULES_BY_KEY = {rule.key: rule for rule in RULES}

__all__ = ["RULES", "RULES_BY_KEY"]
