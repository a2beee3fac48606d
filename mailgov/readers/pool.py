"""The pool: hands a message to a worker process and gets its facts back."""

from mailgov import config, message
from mailgov_policies.facts import Content


class ReaderPool:
    """Worker processes for `read_message`, owned by one event loop.

    `start` before the first `read`, `close` at the end; also an asynchronous context manager.
    """

    def __init__(self, settings: config.Readers, limits: config.Limits | None = None) -> None:
        self._settings = settings
        self._limits = limits or config.Limits()

    async def start(self) -> None:
        """Start the workers."""

    async def close(self) -> None:
        """End the workers; later reads raise Unavailable `readers-unavailable`."""

    async def read(self, body: message.Body) -> Content:
        """The facts of a message.

        A message that breaks a limit or the worker gives `Content(unscannable=…)`. Trouble of the
        pool itself raises Unavailable `readers-unavailable`.
        """
        return Content(body.size_bytes, unscannable="not opened")
