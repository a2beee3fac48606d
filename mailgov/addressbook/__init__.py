"""The address book of an agency, for phones and mail programs (CardDAV)."""
