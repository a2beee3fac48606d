"""How much a user may send. What was taken is counted in the database, what is under way here."""

from collections import Counter

from mailgov.config import Limits
from mailgov.relay.commands import CommandError
from mailgov.relay.ports import Records, Sent


class SendingRates:
    """The counts of all users of this process; one `Allotment` for each message under way.

    Several processes see each other's messages once they are stored: together they may let a few
    more pass, by what is under way elsewhere at that moment.
    """

    def __init__(self, records: Records, limits: Limits) -> None:
        self._records = records
        self.limits = limits
        self.under_way: Counter[str] = Counter()  # recipients
        self.messages: Counter[str] = Counter()  # under way
        self.stored: Counter[str] = Counter()  # recipients, ever
        self.stored_messages: Counter[str] = Counter()

    async def begin(self, login: str) -> "Allotment":
        """A message of this user. Raises CommandError `messages-this-day`, and Unavailable."""
        # Noted first: what is stored while the database counts is counted twice, and never not.
        before, messages_before = self.stored[login], self.stored_messages[login]
        sent = await self._records.sent(login)
        since = self.stored_messages[login] - messages_before
        most = self.limits.messages_per_day
        if sent.messages_day + since + self.messages[login] >= most:
            raise CommandError("messages-this-day", most=str(most))
        self.messages[login] += 1
        return Allotment(self, login, sent, before)


class Allotment:
    """The part of one message. `close` must be called in the end, and may be called again."""

    def __init__(self, rates: SendingRates, login: str, sent: Sent, before: int) -> None:
        self._rates = rates
        self._login = login
        self._sent = sent
        self._before = before
        self._recipients = 0
        self._open = True

    def add(self) -> None:
        """One more recipient. Raises CommandError `recipients-this-hour` or `recipients-this-day`."""
        rates, login = self._rates, self._login
        since = rates.stored[login] - self._before + rates.under_way[login]
        for sent, most, key in (
            (self._sent.recipients_hour, rates.limits.recipients_per_hour, "recipients-this-hour"),
            (self._sent.recipients_day, rates.limits.recipients_per_day, "recipients-this-day"),
        ):
            if sent + since >= most:
                raise CommandError(key, most=str(most))
        self._recipients += 1
        rates.under_way[login] += 1

    def close(self, *, stored: bool = False) -> None:
        """The message has ended, in the database or nowhere."""
        if not self._open:
            return
        self._open = False
        rates, login = self._rates, self._login
        rates.messages[login] -= 1
        rates.under_way[login] -= self._recipients
        if stored:
            rates.stored[login] += self._recipients
            rates.stored_messages[login] += 1
