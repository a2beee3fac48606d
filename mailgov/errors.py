"""The error tree of the platform.

MailgovError                what every face can show: a code with words in `texts/`, and its fields
├── InputError              a file, value or message is not valid; nothing was changed     exit 6
│   └── ConfigError         the configuration is not valid                                 exit 6
├── NotFound                the thing named does not exist                                 exit 3
├── Conflict                it contradicts what is there                                   exit 5
├── NotAllowed              the asker may not do this                                      exit 4
├── ConsentMissing          a disruptive change was not confirmed                          exit 10
├── Unavailable             trouble of our own or of a neighbour; try again                exit 9
│   └── OutcomeUnknown      a commit was sent, its answer never came                       exit 9
└── DeliveryError           one attempt to hand a message on
    ├── DeliveryDeferred    try again later
    └── DeliveryRefused     never try again
"""

from typing import Any


class MailgovError(Exception):
    """Something a person can be told plainly.

    `code` finds title, sentence and mend in `texts/{vi,en}.toml` under `[error.<code>]`;
    `fields` fill the places in that sentence. Never carries secrets or message content.
    """

    def __init__(self, code: str, /, **fields: Any) -> None:
        super().__init__(code, fields)
        self.code = code
        self.fields = fields

    def __str__(self) -> str:
        details = ", ".join(f"{name}=`{value}`" for name, value in self.fields.items())
        return f"{self.code}: {details}" if details else self.code


class InputError(MailgovError):
    """What was given is not valid; nothing was changed."""


class ConfigError(InputError):
    """The configuration is not valid; nothing was started."""


class NotFound(MailgovError):
    """The thing named does not exist."""


class Conflict(MailgovError):
    """The request contradicts what is there already."""


class NotAllowed(MailgovError):
    """Not signed in, or not entitled."""


class ConsentMissing(MailgovError):
    """A bulk, disruptive or irreversible change was not confirmed."""


class Unavailable(MailgovError):
    """Temporary: database, resolver, reader pool or disk can't serve now. Answer 4xx, never 5xx."""


class OutcomeUnknown(Unavailable):
    """The connection broke at the commit: the work may be done, and may not. Look, or say no."""


class DeliveryError(MailgovError):
    """One attempt, one recipient. `reply` is the remote's own line, kept whole for the bounce."""

    def __init__(self, code: str, /, *, reply: str = "", **fields: Any) -> None:
        super().__init__(code, **fields)
        self.reply = reply


class DeliveryDeferred(DeliveryError):
    """Not now: the remote, or the way to it, is in trouble. The schedule says when to try again."""


class DeliveryRefused(DeliveryError):
    """Never: the remote, or the nature of the message, forbids it. The sender gets a notice."""
