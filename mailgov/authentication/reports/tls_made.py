"""Our TLS report to a domain: how sessions with its servers went in a day (RFC 8460, 4)."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, select

from mailgov.authentication.reports.day import Day
from mailgov.authentication.reports.dmarc_made import Made, Sender, report_id
from mailgov.db.models import TlsResult

MAX_FAILURES = 10_000
"""Different failures of one report."""

_Policy = tuple[str, tuple[str, ...], tuple[str, ...]]  # type, strings, hosts of its mx


def make_tls(session: Session, domain: str, day: Day, sender: Sender) -> Made | None:
    """The report of a day; None when there was no session."""
    good: Counter[_Policy] = Counter()
    bad: dict[_Policy, Counter[tuple[str, str, str, str, str]]] = {}
    for result in session.exec(_of_day(domain, day)):
        policy = (result.policy_type, tuple(result.policy_strings), tuple(result.mx_hosts))
        failures = bad.setdefault(policy, Counter())
        if not result.result:
            good[policy] += result.sessions
            continue
        failures[
            result.result, result.sending_ip, result.receiving_host, result.receiving_ip,
            result.reason,
        ] += result.sessions  # fmt: skip
    if not bad:
        return None
    name = report_id(day, domain, sender)
    policies = [_policy(domain, policy, good[policy], bad[policy]) for policy in bad]
    document = {
        "organization-name": sender.organisation,
        "date-range": {
            "start-datetime": f"{day.begins_at:%Y-%m-%dT%H:%M:%SZ}",
            "end-datetime": f"{day.last_second:%Y-%m-%dT%H:%M:%SZ}",
        },
        "contact-info": sender.address,
        "report-id": name,
        "policies": policies,
    }
    total = sum(good.values()) + sum(sum(failures.values()) for failures in bad.values())
    return Made(name, json.dumps(document, ensure_ascii=False).encode(), total)


def _of_day(domain: str, day: Day) -> Any:
    return (
        select(TlsResult)
        .where(
            TlsResult.policy_domain == domain,
            TlsResult.at >= day.begins_at,
            TlsResult.at < day.ends_at,
        )
        .execution_options(yield_per=1000)
    )


def _policy(
    domain: str, policy: _Policy, good: int, bad: Counter[tuple[str, str, str, str, str]]
) -> dict[str, Any]:
    kind, strings, hosts = policy
    told: dict[str, Any] = {"policy-type": kind, "policy-domain": domain}
    if strings:
        told["policy-string"] = list(strings)
    if hosts:
        told["mx-host"] = list(hosts)
    found: dict[str, Any] = {
        "policy": told,
        "summary": {
            "total-successful-session-count": good,
            "total-failure-session-count": sum(bad.values()),
        },
    }
    if bad:
        found["failure-details"] = [
            _failure(failure, count) for failure, count in bad.most_common(MAX_FAILURES)
        ]
    return found


def _failure(failure: Sequence[str], count: int) -> dict[str, Any]:
    keys = (
        "result-type", "sending-mta-ip", "receiving-mx-hostname", "receiving-ip",
        "additional-information",
    )  # fmt: skip
    told: dict[str, Any] = {key: text for key, text in zip(keys, failure, strict=True) if text}
    return {**told, "failed-session-count": count}
