"""Every reply of the relay: the only place with SMTP reply codes.

A refusal reads `550 5.7.1 [code] <Vietnamese without marks>. <English>.`, and after a refusal by
the policy the link to its help page; other rules that were broken too stand in brackets behind the
first. The code in brackets finds the words in `texts/`: under
`[reply.*]` for the protocol, under `[rule.*]` for the policy. Strangers never see the words of an
exception, only a reference that the log explains.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailgov.errors import MailgovError
from mailgov.relay.ports import Outcome
from mailgov.texts import LANGUAGES, without_marks, words
from mailgov.texts.explanation import Explanation, of_finding
from mailgov_policies.verdict import Action, Verdict

MAX_LINE_OCTETS = 512  # RFC 5321, 4.5.3.1.5: reply line with code and CRLF
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}")  # RFC 3463, 2
_MAX_EVIDENCE = 100  # letters of what a client sent that we repeat
_MAX_OTHER_CODES = 8  # rules named besides the gravest: with them the reply stays a few lines


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. `text` may have several lines; longer ones are folded into more.

    `key` is the code of its words, for counting and logging. Raises ValueError when code and
    enhanced code disagree, or a refusal has none.
    """

    code: int
    enhanced: str
    text: str
    key: str = ""

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"no reply code: {self.code}")
        if not self.enhanced:
            if self.code >= 400:
                raise ValueError(f"{self.code} needs an enhanced code (RFC 2034)")
            return
        match = _ENHANCED.fullmatch(self.enhanced)
        if match is None or int(match[1]) != self.code // 100:
            raise ValueError(f"{self.enhanced} does not go with {self.code} (RFC 2034)")

    @property
    def refuses(self) -> bool:
        """Whether the client is told that it can't have this, ever."""
        return self.code >= 500

    def encode(self, *, utf8: bool = False) -> bytes:
        """The bytes to send. `utf8`: the client asked for RFC 6531, so letters may stay letters."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        room = MAX_LINE_OCTETS - len("250-") - len(prefix) - len("\r\n")
        text = self.text if utf8 else _in_ascii(self.text)
        lines = [folded for line in text.split("\n") for folded in _fold(line, room)]
        last = len(lines) - 1
        return b"".join(
            f"{self.code}{' ' if number == last else '-'}{prefix}{line}\r\n".encode()
            for number, line in enumerate(lines)
        )


def _in_ascii(text: str) -> str:
    if text.isascii():
        return text
    return "\n".join(without_marks(line) for line in text.split("\n"))


def _fold(line: str, room: int) -> list[str]:
    if len(line) <= room and line.isascii():
        return [line]
    folded: list[str] = []
    while len(line.encode()) > room:
        head = line.encode()[:room].decode("utf-8", "ignore")
        cut = head.rfind(" ")
        cut = cut if cut > 0 else len(head)
        folded.append(line[:cut])
        line = line[cut:].lstrip(" ")
    return [*folded, line]


SENDER_OK = Reply(250, "2.1.0", "sender ok")
PRIORITY_LOWERED = Reply(250, "2.3.6", "0 is the priority of those we do not know")  # RFC 6710, 5
RECIPIENT_OK = Reply(250, "2.1.5", "recipient ok")
RESET_OK = Reply(250, "2.0.0", "ok")
NOOP_OK = Reply(250, "2.0.0", "ok")
BYE = Reply(221, "2.0.0", "bye")
START_TLS = Reply(220, "2.0.0", "ready to start TLS")
START_DATA = Reply(354, "", "end with <CRLF>.<CRLF>")
SIGNED_IN = Reply(235, "2.7.0", "signed in")
CANNOT_VERIFY = Reply(252, "2.5.0", "send some mail, it will be tried")

# What the relay itself refuses, by key of `[reply.*]`.
_OWN: dict[str, tuple[int, str]] = {
    # sessions
    "too-many-sessions": (421, "4.7.0"),
    "too-many-from-address": (421, "4.7.0"),
    "too-many-from-network": (421, "4.7.0"),
    "too-many-of-user": (421, "4.7.0"),
    "sessions-too-fast": (421, "4.7.0"),
    "too-many-errors": (421, "4.7.0"),
    "too-many-junk-commands": (421, "4.7.0"),
    "too-many-unknown-recipients": (421, "4.7.0"),
    "too-many-failed-logins": (421, "4.7.0"),
    "idle": (421, "4.4.2"),
    "session-too-long": (421, "4.4.2"),
    "login-late": (421, "4.4.2"),
    "data-too-slow": (421, "4.4.2"),
    "stopping": (421, "4.3.2"),
    "not-mail": (421, "4.7.0"),
    "memory-short": (421, "4.3.2"),
    "early-talker": (554, "5.5.1"),
    # commands
    "line-syntax": (500, "5.5.2"),
    "line-end": (500, "5.5.2"),
    "command-too-long": (500, "5.5.2"),
    "command-unknown": (500, "5.5.1"),
    "not-offered": (502, "5.5.1"),
    "hello-first": (503, "5.5.1"),
    "hello-syntax": (501, "5.5.4"),
    "no-argument": (501, "5.5.4"),
    "argument-unwanted": (501, "5.5.4"),
    "mail-first": (503, "5.5.1"),
    "mail-twice": (503, "5.5.1"),
    "recipient-first": (503, "5.5.1"),
    "chunks-begun": (503, "5.5.1"),
    "chunk-syntax": (501, "5.5.4"),
    "sender-syntax": (501, "5.1.7"),
    "recipient-syntax": (501, "5.1.3"),
    "parameter-syntax": (501, "5.5.4"),
    "parameter-unknown": (555, "5.5.4"),
    "needs-smtputf8": (553, "5.6.7"),
    "binary-mime": (555, "5.6.1"),
    "require-tls-clear": (530, "5.7.10"),  # RFC 8689, 4.1
    # signing in
    "tls-first": (538, "5.7.11"),  # RFC 4954, 6
    "tls-active": (503, "5.5.1"),
    "login-first": (530, "5.7.0"),
    "login-twice": (503, "5.5.1"),
    "login-in-transaction": (503, "5.5.1"),
    "login-mechanism": (504, "5.5.4"),
    "login-aborted": (501, "5.7.0"),
    "login-syntax": (501, "5.5.2"),
    "login-too-long": (500, "5.5.6"),
    "login-wrong": (535, "5.7.8"),
    "login-certificate-mailbox": (535, "5.7.8"),
    "login-certificate-several": (535, "5.7.8"),
    "login-certificate-expired": (535, "5.7.8"),
    "login-certificate-purpose": (535, "5.7.8"),
    "login-certificate-suspended": (535, "5.7.8"),
    "login-later": (454, "4.7.0"),
    "login-ended": (421, "4.7.0"),
    # addresses
    "relay-denied": (550, "5.7.1"),
    "unknown-recipient": (550, "5.1.1"),
    "return-path": (550, "5.7.1"),
    "return-path-old": (550, "5.7.1"),
    "mailbox-suspended": (550, "5.2.1"),
    "mailbox-recalled": (550, "5.2.1"),
    "mailbox-moved": (551, "5.1.6"),  # RFC 5321, 3.4
    "too-many-recipients": (452, "4.5.3"),
    "recipients-this-hour": (450, "4.7.1"),
    "recipients-this-day": (450, "4.7.1"),
    "messages-this-day": (450, "4.7.1"),
    "listed": (554, "5.7.1"),
    "greylisted": (451, "4.7.1"),
    # messages
    "message-too-big": (552, "5.3.4"),
    "header-too-big": (552, "5.3.4"),
    "line-too-long": (500, "5.6.0"),
    "bare-line-end": (550, "5.6.11"),
    "too-many-hops": (554, "5.4.6"),
    "disk-full": (452, "4.3.1"),
    "memory-full": (452, "4.3.1"),
    "queue-full": (452, "4.3.1"),
    "not-judged": (451, "4.7.1"),
    "trouble": (451, "4.3.0"),
    "trouble-dns": (451, "4.4.3"),
    "trouble-scanner": (451, "4.7.1"),
    "trouble-busy": (454, "4.7.0"),
}

# Refusals by the policy, by key of `[rule.*]`; all others are 550 5.7.1.
_BY_RULE: dict[str, tuple[int, str]] = {
    "sender-identity": (553, "5.7.1"),
    "bulk-limit": (452, "4.5.3"),
    "quota": (452, "4.2.2"),
    "legacy-encoding": (550, "5.6.3"),
    "file-format": (550, "5.6.1"),
    "message-size": (552, "5.3.4"),
    "malformed": (554, "5.6.0"),
}
_REFUSED = (550, "5.7.1")

# Trouble of our own whose kind helps the other side, by code of the error.
_TROUBLE = {
    "disk-full": "disk-full",
    "resolver-unavailable": "trouble-dns",
    "scanner-unavailable": "trouble-scanner",
    "too-busy": "trouble-busy",
}


def own_keys() -> frozenset[str]:
    """Keys of all refusals that the relay itself speaks."""
    return frozenset(_OWN)


def greeting(hostname: str, text: str) -> Reply:
    """The banner."""
    return Reply(220, "", f"{hostname} ESMTP {text}".rstrip())


def hello(hostname: str, keywords: tuple[str, ...] = ()) -> Reply:
    """The answer to HELO, or to EHLO with what is offered."""
    return Reply(250, "", "\n".join((hostname, *keywords)))


def challenge(encoded: str) -> Reply:
    """A step of AUTH (RFC 4954, 4): base64 or nothing."""
    return Reply(334, "", encoded)


def help_reply(link: str) -> Reply:
    """Where people find help."""
    return Reply(214, "2.0.0", link)


def chunk_taken(size_bytes: int) -> Reply:
    """A chunk that is not the last (RFC 3030, 2)."""
    return Reply(250, "2.0.0", f"{size_bytes} octets received")


def refusal(key: str, **fields: str) -> Reply:
    """What the relay itself has to say, in both languages."""
    code, enhanced = _OWN[key]
    shown = {name: _shown(value) for name, value in fields.items()}
    sentences = [words(language, f"reply.{key}.text", **shown) for language in LANGUAGES]
    return Reply(code, enhanced, _bilingual(f"[{key}]", sentences), key)


def rule_refusal(
    code: str,
    evidence: Mapping[str, str],
    help_base: str,
    others: Sequence[str] = (),
    basis: str = "",
) -> Reply:
    """A refusal by the policy: why, on which law, and the page that tells how to put it right.

    `others` are the codes of further rules that refuse it: who mends the message mends it once.
    `basis` is the law that the ruleset names.
    """
    shown = {name: _shown(value) for name, value in evidence.items()}
    sentences = [
        _with_basis(of_finding(language, code, "", shown, basis)) for language in LANGUAGES
    ]
    number, enhanced = _BY_RULE.get(code, _REFUSED)
    told = _bilingual(" ".join([f"[{code}]", *_in_brackets(others)]), sentences)
    return Reply(number, enhanced, f"{told} {help_base}/help/rules/{code}", code)


def outcome_reply(outcome: Outcome, help_base: str) -> Reply:
    """What became of a message."""
    verdict = outcome.verdict
    if verdict.action >= Action.REJECT:
        return rule_refusal(
            verdict.code, _evidence(verdict), help_base, _others(verdict), _basis(verdict)
        )
    if verdict.action >= Action.DEFER:
        return refusal("not-judged", reference=outcome.queue_id, code=verdict.code)
    if verdict.action >= Action.HOLD:
        text = f"{outcome.queue_id} held for approval [{verdict.code}]"
        return Reply(250, "2.0.0", text, verdict.code)
    return Reply(250, "2.0.0", f"{outcome.queue_id} queued", verdict.code)


def trouble(error: Exception, reference: str) -> Reply:
    """Unknown trouble is temporary, and its cause stays in the log under the reference."""
    code = error.code if isinstance(error, MailgovError) else ""
    return refusal(_TROUBLE.get(code, "trouble"), reference=reference)


def _evidence(verdict: Verdict) -> Mapping[str, str]:
    """What the gravest finding saw: it fills the places in the sentence."""
    gravest = (finding.evidence for finding in verdict.findings if finding.code == verdict.code)
    return next(gravest, {})


def _basis(verdict: Verdict) -> str:
    return next((f.basis for f in verdict.findings if f.code == verdict.code), "")


def _with_basis(told: Explanation) -> str:
    sentence = told.why.rstrip(". ")
    return f"{sentence} ({told.basis})" if told.basis else sentence


def _others(verdict: Verdict) -> list[str]:
    """Codes that refuse besides the gravest, each once, in order of the findings."""
    refusing = (f.code for f in verdict.findings if f.action >= Action.REJECT)
    return [code for code in dict.fromkeys(refusing) if code != verdict.code]


def _in_brackets(codes: Sequence[str]) -> list[str]:
    named = [f"[{code}]" for code in codes[:_MAX_OTHER_CODES]]
    return [*named, f"[+{len(codes) - len(named)}]"] if len(codes) > len(named) else named


def _bilingual(codes: str, sentences: list[str]) -> str:
    return " ".join([codes, *(f"{sentence.rstrip('. ')}." for sentence in sentences)])


def _shown(value: str) -> str:
    clean = "".join(letter if letter.isprintable() else " " for letter in value)
    return clean if len(clean) <= _MAX_EVIDENCE else f"{clean[:_MAX_EVIDENCE]}..."
