"""Attachments as evidence."""

from collections.abc import Mapping

from mailgov_policies.facts import Attachment


def place(attachment: Attachment) -> str:
    """Where the attachment is: `part 2`, `part 2/folder/name.exe`."""
    return f"part {attachment.part}"


def evidence(attachment: Attachment, **more: str) -> Mapping[str, str]:
    """Its place and name, and what else was seen."""
    return {"place": place(attachment), "file": attachment.name, **more}
