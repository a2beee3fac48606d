"""Look-ups that answer at once: plain SQL, by index, without the mapper whose import alone is slower.

The command line's lists, records and completion are made here, and `directory.listing` asks here too.
"""

from mailgov.lookups.agencies import agency
from mailgov.lookups.known import known_addresses, known_agencies, known_domains
from mailgov.lookups.mailboxes import MAILBOX_FIELDS, mailbox, mailboxes
from mailgov.lookups.source import PlainDatabase, Record, SessionSource, Source
from mailgov.lookups.version import require_schema, schema_of_program

__all__ = [
    "MAILBOX_FIELDS",
    "PlainDatabase",
    "Record",
    "SessionSource",
    "Source",
    "agency",
    "known_addresses",
    "known_agencies",
    "known_domains",
    "mailbox",
    "mailboxes",
    "require_schema",
    "schema_of_program",
]
