"""Connections to the IMAP listener of this installation, in the name of a mailbox of ours."""

import asyncio
import ssl
import time

from mailgov.config import Config
from mailgov.errors import Unavailable
from mailgov.imap_client import Connection, Library
from mailgov.mailstore import master, reach

KNOWN_SECONDS = 3.0  # the mail store hears of a new mailbox a moment after the directory


async def connect(config: Config, address: str) -> Connection:
    """A connection that is signed in to a mailbox. Raises Unavailable `mailstore-unavailable`."""
    host, port = await asyncio.to_thread(reach.listener, config)
    deadline = time.monotonic() + KNOWN_SECONDS
    while True:
        context = None
        if not reach.is_loopback(host):
            context = await asyncio.to_thread(_our_certificate, config)
        connection = Connection(Library(host, port, ssl_context=context))
        await connection.greeting()
        token = await asyncio.to_thread(master.token, config.data.path)
        if await connection.log_in(master.login_name(address), token):
            return connection
        connection.close()
        if time.monotonic() > deadline:
            raise Unavailable("mailstore-unavailable")
        await asyncio.sleep(KNOWN_SECONDS / 6)


def _our_certificate(config: Config) -> ssl.SSLContext:
    """Trust nobody but our own server, under whatever name it is reached."""
    context = ssl.create_default_context(cafile=str(config.certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
