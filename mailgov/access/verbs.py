"""Which act each command, page and call is: the same words everywhere, such as `mailbox add`.

What is not named here belongs to whoever runs the platform, so that something new is closed until
somebody has thought about it.
"""

from collections.abc import Mapping

from mailgov.access.roles import Act

_OF: Mapping[Act, tuple[str, ...]] = {
    "look": (
        "agency list",
        "agency show",
        "agency tree",
        "agency export",
        "person list",
        "person show",
        "domain list",
        "domain show",
        "mailbox list",
        "mailbox show",
        "mailbox export",
        "mailbox app-password list",
        "mailbox forward list",
        "alias list",
        "group list",
        "group show",
        "group export",
        "absence list",
        "plan list",
        "plan show",
        "role list",
        "dns records",
        "approval list",
        "approval show",
        "approval approve",
        "approval deny",
        "approval withdraw",
        "client show",
        "client check",
        "client profile",
    ),
    "administer": (
        "agency add",
        "agency edit",
        "agency move",
        "agency merge",
        "agency close",
        "agency import",
        "agency template",
        "person edit",
        "person post add",
        "person post end",
        "mailbox add",
        "mailbox edit",
        "mailbox suspend",
        "mailbox resume",
        "mailbox password",
        "mailbox reset",
        "mailbox grant",
        "mailbox revoke",
        "mailbox transfer",
        "mailbox recall",
        "mailbox restore",
        "mailbox remove",
        "plan cancel",
        "plan retry",
        "mailbox import",
        "mailbox app-password add",
        "mailbox app-password revoke",
        "mailbox second-factor reset",
        "mailbox forward add",
        "mailbox forward remove",
        "alias add",
        "alias remove",
        "group add",
        "group members",
        "group edit",
        "group remove",
        "group import",
        "absence set",
        "absence clear",
        "role grant",
        "role revoke",
        "reconcile plan",
        "reconcile apply",
        "quota import",
        "quota export",
        "job list",
        "job show",
        "job resume",
        "job cancel",
        "job undo",
        "queue retry",
        "queue hold",
        "queue release",
        "queue remove",
    ),
    "trace": (
        "queue list",
        "queue show",
        "queue stats",
        "trace",
        "quarantine wrong",
        "mailbox sign-ins",
    ),
    "report": ("report run",),
    "open-rows": ("report rows", "agency stragglers"),
    "secure": (
        "quarantine list",
        "quarantine show",
        "quarantine release",
        "quarantine remove",
    ),
    "keys": (
        "dkim generate",
        "dkim list",
        "dkim activate",
        "dkim rotate",
        "dkim retire",
        "dkim export",
        "dns check",
    ),
}

# Nothing of an agency is shown or changed by these.
_OPEN = (
    "help",
    "convert",
    "mailbox template",
    "group template",
    "policy list",
    "policy explain",
    "policy check",
    "policy lint",
    "report list",
    "report show",
)

VERBS: Mapping[str, Act | None] = {
    **{verb: act for act, verbs in _OF.items() for verb in verbs},
    **dict.fromkeys(_OPEN),
}


def act_of(verb: str) -> Act | None:
    """The act that a command is, such as `mailbox add`; None: open to everybody."""
    return VERBS.get(verb, "operate")
