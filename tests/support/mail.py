"""A mail program: writes, signs in, sends, reads."""

import imaplib
import smtplib
import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from .platform import Platform

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def letter(sender: str, to: str, subject: str, text: str, *files: Path) -> EmailMessage:
    """A message with attachments."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message.set_content(text)
    for file in files:
        main, sub = (WORD if file.suffix == ".docx" else "application/msword").split("/")
        message.add_attachment(file.read_bytes(), maintype=main, subtype=sub, filename=file.name)
    return message


def submission(platform: Platform, login: dict[str, str]) -> smtplib.SMTP:
    """A signed-in session on port 587."""
    host, port = platform.address("submission")
    client = smtplib.SMTP(host, port, "pc.tinhmau.gov.vn", timeout=60)
    client.starttls(
        context=ssl.create_default_context(cafile=str(platform.folder / "tls/cert.pem"))
    )
    client.login(login["address"], login["password"])
    return client


def send(platform: Platform, login: dict[str, str], message: EmailMessage) -> tuple[int, str]:
    """Send through 587; the reply to DATA."""
    with submission(platform, login) as client:
        client.mail(login["address"])
        for _, address in [("", part.strip()) for part in str(message["To"]).split(",")]:
            code, reply = client.rcpt(address)
            if code >= 400:
                return code, reply.decode()
        code, reply = client.data(message.as_bytes(policy=policy.SMTP))
        return code, reply.decode()


def inbox(platform: Platform, login: dict[str, str], folder: str = "INBOX") -> list[EmailMessage]:
    """Every message of a folder, over IMAP."""
    host, port = platform.address("imap")
    with imaplib.IMAP4(host, port, timeout=30) as client:
        client.login(login["address"], login["password"])
        client.select(folder, readonly=True)
        _, found = client.search(None, "ALL")
        messages = []
        for number in found[0].split():
            _, data = client.fetch(number.decode(), "(BODY.PEEK[])")
            assert isinstance(data[0], tuple)
            message = message_from_bytes(data[0][1], policy=policy.default)
            assert isinstance(message, EmailMessage)
            messages.append(message)
        return messages
