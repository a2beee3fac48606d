"""Who acts on the command line, and how a command is kept to what they may see.

Root and the owner of the data folder run the platform: whoever has the files has everything, so nothing
is asked of them. Any other account acts with the roles of the mailbox that the configuration gives it.
`--as ADDRESS` takes on the roles of a mailbox's holder and lays everything else down: it only narrows,
so it needs no password. docs/roles.md tells more.
"""

import os
import pwd
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mailgov.access import Authority
    from mailgov.db import Database
    from mailgov_cli.runtime import Runtime


def account() -> str:
    """The account of the operating system; not what the environment claims."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def runs_the_platform(data: "Path") -> bool:
    """Whether the data is this account's own, or there is none yet."""
    if os.getuid() == 0:
        return True
    try:
        return data.stat().st_uid == os.getuid()
    except FileNotFoundError:
        return True
    except OSError:
        return False


def narrows(run: "Runtime") -> bool:
    """Whether this run acts with less than everything. Raises ConfigError."""
    return (
        run.caller is not None or bool(run.acting_as) or not runs_the_platform(run.whereabouts.data)
    )


def authority(run: "Runtime", database: "Database") -> "Authority":
    """Who acts, by the roles in force today.

    Raises NotAllowed `account-without-role`, or `acting-as-other` when an account that runs nothing
    wants to be somebody else.
    """
    from mailgov.access import authority_of, local_authority
    from mailgov.addresses import Address
    from mailgov.clock import local_date, utc_now
    from mailgov.errors import NotAllowed

    if run.caller is not None:
        return run.caller
    who = account()
    if not narrows(run):
        return local_authority(who)
    given = dict(one.split("=", 1) for one in run.config.roles.accounts)
    wanted = run.acting_as or given.get(who, "")
    if not wanted:
        raise NotAllowed("account-without-role", account=who)
    address = Address.parse(wanted).key
    if not runs_the_platform(run.whereabouts.data) and given.get(who, "").lower() != address:
        raise NotAllowed("acting-as-other", account=who, address=address)
    with database.read() as session:
        return authority_of(session, address, actor_of(who, address), local_date(utc_now()))


def actor_of(who: str, address: str) -> str:
    """What the ledger keeps of somebody who acts with the roles of a mailbox's holder."""
    return f"cli:{who} as {address}"


def keep(run: "Runtime", database: "Database") -> "Authority":
    """Let the sessions of this database see what the command may, and no more.

    Raises NotAllowed `act-not-allowed`, and what `authority` raises.
    """
    from mailgov.access import act_of, fence

    who = authority(run, database)
    act = act_of(run.verb)
    who.require(act)
    tops = who.tops(act)
    database.prepare = lambda session: fence(session, tops, who.actor)
    return who


def tops(run: "Runtime") -> "tuple[str, ...] | None":
    """The branches that the command is kept to; None: everything. Raises what `keep` raises."""
    if not narrows(run):
        return None
    from mailgov.access import act_of

    _ = run.database
    return run.authority.tops(act_of(run.verb))


def only_top(run: "Runtime") -> str:
    """The agency that a question without one is about; empty: all of them.

    Raises InputError `agency-of-several` for somebody with several branches.
    """
    seen = tops(run)
    if seen is None:
        return ""
    if len(seen) == 1:
        return seen[0]
    from mailgov.errors import InputError

    raise InputError("agency-of-several", known=", ".join(seen))


def require(run: "Runtime") -> None:
    """Before a command begins: raise NotAllowed for an act that no role of theirs permits.

    Commands that need no database are stopped here too.
    """
    if run.caller is None and not run.acting_as and os.getuid() == 0:
        return
    from mailgov.access import act_of

    if act_of(run.verb) is not None and narrows(run):
        _ = run.database


def second_person(run: "Runtime", kind: str, subject: "Mapping[str, Any]", reason: str) -> None:
    """Go on only with the yes of a second person; it is used up by this.

    Raises ConsentMissing `approval-needed` until somebody else has said yes, NotAllowed
    `approval-denied`, InputError `approval-reason-missing`.
    """
    from mailgov.clock import utc_now
    from mailgov.directory import approvals

    seen = tops(run)
    agency = seen[0] if seen is not None and len(seen) == 1 else ""
    request = approvals.Request(kind, subject, agency)
    days = run.config.roles.approval_days
    approvals.require(run.database, run.authority, utc_now(), reason, request, days)
