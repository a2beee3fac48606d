"""`mailgov policy`: the rules in force, what each means, and what they say of a message."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailgov.clock import local_date, utc_now
from mailgov.errors import InputError, MailgovError, NotFound
from mailgov_cli import exits
from mailgov_cli.exits import Exit, UsageMistake
from mailgov_cli.grammar import Noun, Place
from mailgov_cli.options import DryRun, Reason, Since, Until, last_day, parse_moment
from mailgov_cli.output import Format
from mailgov_cli.runtime import Runtime, runtime
from mailgov_policies import (
    DUTIES,
    RULES,
    RULES_BY_KEY,
    Authentication,
    Row,
    Ruleset,
    View,
)

if TYPE_CHECKING:
    from mailgov_cli.checking import Case, Judged

app = Noun()

RulesetFile = Annotated[
    Path | None,
    typer.Option("--ruleset", help="ruleset file over the default pack", metavar="FILE"),
]
_DAYS = ["%Y-%m-%d", "%d/%m/%Y"]
_LIST_FIELDS = (
    "code",
    "name",
    "mode",
    "action",
    "cases",
    "directions",
    "locked",
    "version",
    "basis",
    "ruleset",
)
_CHECK_FIELDS = ("file", "action", "code", "findings", "document", "labels")
_FINDING_FIELDS = ("file", "action", "code", "finding", "where", "sentence", "basis", "mend")


@app.command(
    "list",
    epilog="""mailgov policy list
    mailgov policy list --ruleset tinh-mau.toml --agency H99.02""",
)
def list_(
    ctx: typer.Context,
    ruleset: RulesetFile = None,
    agency: Annotated[
        str, typer.Option("--agency", help="as this agency has them; default: all rows")
    ] = "",
) -> None:
    """Every rule with mode, action and legal basis."""
    from mailgov_cli.policy_records import row_record

    run = runtime(ctx)
    rules = _in_force(run, agency) if agency and ruleset is None else _read(ruleset)
    rows = [row_record(row, run) for row in _rows(rules, agency, local_date(utc_now()))]
    run.emit("policy.list/1", rows, _LIST_FIELDS)


@app.command(
    epilog="mailgov policy explain legacy-encoding\nmailgov policy explain secret-mark --json"
)
def explain(
    ctx: typer.Context,
    code: Annotated[str, typer.Argument(help="code of a rule", metavar="CODE")],
    ruleset: RulesetFile = None,
    agency: Annotated[
        str, typer.Option("--agency", help="as this agency has it; default: every file")
    ] = "",
) -> None:
    """One rule: what it says, on which law, how grave, and how its findings are mended."""
    from mailgov_cli.explaining import own_rule_record, rule_record
    from mailgov_cli.policy_records import level_in_words, row_record
    from mailgov_cli.rulesets import rows_everywhere

    run = runtime(ctx)
    for_people = run.shown_format is Format.TABLE
    if agency and ruleset is None:
        rules = _in_force(run, agency)
        rows: Sequence[Row] = rules.of(code)
        added = rules.own
    else:
        rows, added = rows_everywhere(run, code, ruleset)
    own = next((rule for rule in added if rule.key == code), None)
    if own is None:
        record = rule_record(code, run.language, for_people=for_people)
    else:
        record = own_rule_record(own, rows, run.language, for_people=for_people)
    if not record:
        near = get_close_matches(code, [*RULES_BY_KEY, *DUTIES, *(rule.key for rule in added)], n=3)
        raise NotFound("rule-unknown", key=code, near=", ".join(near) or "-")
    told = level_in_words if for_people else row_record
    record["levels"] = [told(row, run) for row in rows]
    run.emit("policy.explain/1", [record], tuple(record), single=True)


@app.command(
    place=Place.HERE,
    epilog="""mailgov policy check thu.eml
    mailgov policy check thu.eml --from an.nv@tinhmau.gov.vn --to vanthu@bomau.gov.vn --json
    mailgov policy check thu.eml --direction inbound --auth-results ket-qua.txt
    mailgov policy check --manifest ca-kiem-thu/manifest.json --ruleset tinh-mau.toml""",
)
def check(
    ctx: typer.Context,
    files: Annotated[
        list[str] | None, typer.Argument(help="messages; - is stdin", metavar="FILE...")
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--from", help="envelope sender; default: the address in From")
    ] = None,
    to: Annotated[
        list[str] | None, typer.Option("--to", help="recipient; default: those in To and Cc")
    ] = None,
    direction: Annotated[
        str, typer.Option("--direction", help="submission: sent by us; inbound: from outside")
    ] = "submission",
    auth_results: Annotated[
        Path | None,
        typer.Option(
            "--auth-results",
            help="file with Authentication-Results to assume for inbound mail",
            metavar="FILE",
        ),
    ] = None,
    ruleset: RulesetFile = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="judge every case of this manifest", metavar="FILE"),
    ] = None,
    as_wanted: Annotated[
        bool,
        typer.Option("--as-wanted", help="exit 0 when each case is judged as its manifest wants"),
    ] = False,
) -> None:
    """Judge message files; exit 0 delivered, 8 held, deferred or refused, 6 unreadable."""
    from mailgov_cli.checking import DIRECTIONS

    run = runtime(ctx)
    if direction not in DIRECTIONS:
        raise UsageMistake("choice-unknown", given=direction, known=", ".join(DIRECTIONS))
    if bool(files) == (manifest is not None):
        raise UsageMistake("files-or-manifest")
    rules = _read(ruleset)
    if manifest is not None:
        raise typer.Exit(_check_manifest(run, rules, manifest, as_wanted=as_wanted))
    unreadable: list[MailgovError] = []
    cases = _cases(run, files or [], sender, to or [], direction, auth_results, unreadable)
    roots = run.config.policy.trust_roots
    judged = list(_judged(run, cases, len(files or []), rules, roots))
    _show(run, judged)
    for error in unreadable:
        exits.report(error, run.language, as_json=run.as_json)
    if unreadable:
        raise typer.Exit(Exit.INPUT)
    raise typer.Exit(Exit.DONE if all(one.verdict.delivers for one in judged) else Exit.FOUND)


@app.command(
    place=Place.HERE,
    epilog="mailgov policy lint tinh-mau.toml\nmailgov policy lint H99.toml H99.02.toml --json",
)
def lint(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="ruleset files", metavar="FILE...")],
) -> None:
    """All that is wrong or doubtful in ruleset files; exit 6 for faults, 8 for doubts alone."""
    from mailgov_cli.rulesets import LINT_FIELDS, lint_rows

    run = runtime(ctx)
    rows = [row for file in files for row in lint_rows(file, run.language)]
    run.emit("policy.lint/1", rows, LINT_FIELDS)
    if any(row["kind"] == "fault" for row in rows):
        raise typer.Exit(Exit.INPUT)
    raise typer.Exit(Exit.FOUND if rows else Exit.DONE)


@app.command(
    "set",
    epilog="""mailgov policy set file-format --level hold --agency H99.02 --dry-run
    mailgov policy set file-format --level hold --agency H99.02 --basis 'QĐ 12/2026/QĐ-UBND'
    mailgov policy set freemail-outbound --case document=hold --agency H99 --from 2027-01-01 --lock
    mailgov policy set macro --mode record --agency H99 --branch H99.02 --until 2027-06-30""",
)
def set_(
    ctx: typer.Context,
    code: Annotated[str, typer.Argument(help="code of a rule", metavar="CODE")],
    agency: Annotated[str, typer.Option("--agency", help="code of the agency it holds for")],
    level: Annotated[
        str, typer.Option("--level", help="action from now on; cases of the rule keep theirs")
    ] = "",
    case: Annotated[
        list[str] | None,
        typer.Option("--case", help="action of one of the rule's cases", metavar="CASE=ACTION"),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", help="a number, or a list with commas", metavar="NAME=VALUE"),
    ] = None,
    mode: Annotated[str, typer.Option("--mode", help="off, record or enforce")] = "",
    direction: Annotated[
        list[str] | None,
        typer.Option("--direction", help="only there: submission, inbound, internal"),
    ] = None,
    branch: Annotated[
        list[str] | None, typer.Option("--branch", help="only for this unit and those below it")
    ] = None,
    except_branch: Annotated[
        list[str] | None, typer.Option("--except-branch", help="not for this unit and those below")
    ] = None,
    mailbox_kind: Annotated[
        list[str] | None,
        typer.Option("--mailbox-kind", help="only for mail to such mailboxes: office, person"),
    ] = None,
    unless: Annotated[
        str,
        typer.Option("--unless", help="exception: condition (CEL) under which it only records"),
    ] = "",
    from_: Annotated[
        datetime | None,
        typer.Option("--from", formats=_DAYS, help="first day in force; default: today"),
    ] = None,
    until: Until = None,
    lock: Annotated[
        bool | None,
        typer.Option("--lock/--no-lock", help="units below may tighten it, not relax it"),
    ] = None,
    basis: Annotated[str, typer.Option("--basis", help="the law that it rests on")] = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Make a rule graver or milder for an agency and all below it, from today on."""
    from mailgov_cli.rulesets import row_values, set_level

    run = runtime(ctx)
    given = {
        "mode": mode,
        "action": level,
        "cases": case,
        "settings": setting,
        "directions": direction,
        "agencies": branch,
        "except_agencies": except_branch,
        "mailbox_kinds": mailbox_kind,
        "unless": unless,
        "from": from_.date() if from_ else None,
        "until": last_day(until),
        "locked": lock,
        "basis": basis,
    }
    values = row_values(code, given)
    if not values:
        raise UsageMistake("level-or-mode")
    change = set_level(run, code, agency, values, reason, dry_run=dry_run)
    if run.shown_format is Format.TABLE:
        run.emit_text(change.details["diff"])
    run.emit_change("policy.set/1", change, dry_run=dry_run)


@app.command(
    epilog="""mailgov policy simulate --since 30d --level file-format=hold
    mailgov policy simulate --since 2026-11-01 --ruleset tinh-mau.toml --json"""
)
def simulate(
    ctx: typer.Context,
    since: Since = "30d",
    ruleset: Annotated[
        Path | None,
        typer.Option("--ruleset", help="candidate, over the rules in force", metavar="FILE"),
    ] = None,
    level: Annotated[
        list[str] | None,
        typer.Option("--level", help="candidate action of a rule", metavar="CODE=ACTION"),
    ] = None,
) -> None:
    """Judge past mail by a candidate ruleset: findings that are new or lifted, by agency."""
    from mailgov_cli.rulesets import SIMULATION_FIELDS, simulated

    run = runtime(ctx)
    if bool(level) == (ruleset is not None):
        raise UsageMistake("level-or-ruleset")
    moment = parse_moment(since, utc_now())
    if moment is None:
        raise UsageMistake("moment-not-valid", text=since)
    rows, counted = simulated(run, moment, ruleset, level or [])
    run.emit("policy.simulate/1", rows, SIMULATION_FIELDS)
    run.say("simulated", **counted)


def _in_force(run: Runtime, agency: str) -> Ruleset:
    """The rules of an agency: those of the configuration and of the files along the tree."""
    from mailgov.rulesets import AgencyRulesets, read_ruleset

    settings = run.config.policy
    base = read_ruleset(settings.ruleset)
    if settings.rulesets is None:
        return base
    with run.database.read() as session:
        return AgencyRulesets(base, settings.rulesets, run.database).laid(session, agency)


def _read(ruleset: Path | None) -> Ruleset:
    from mailgov.rulesets import read_ruleset

    return read_ruleset(ruleset)


def _cases(
    run: Runtime,
    files: Sequence[str],
    sender: str | None,
    to: Sequence[str],
    direction: str,
    auth_results: Path | None,
    unreadable: list[MailgovError],
) -> Iterator["Case"]:
    """A case for each file; what can't be read is kept for the end."""
    from mailgov_cli.checking import Case, Surroundings, read_authentication, read_file

    results = read_authentication(auth_results) if auth_results else Authentication()
    around = Surroundings(
        official_suffixes=tuple(run.config.site.official_suffixes),
        max_content_bytes=run.config.limits.content_bytes,
    )
    for file in files:
        try:
            data = read_file(file)
        except InputError as error:
            unreadable.append(error)
            continue
        yield Case(
            file=file,
            data=data,
            direction=direction,
            mail_from=sender,
            recipients=tuple(to),
            authentication=results,
            surroundings=around,
        )


def _judged(
    run: Runtime,
    cases: Iterator["Case"],
    count: int,
    rules: Ruleset,
    trust_roots: Sequence[Path],
) -> Iterator["Judged"]:
    from mailgov import logs
    from mailgov.config import Log
    from mailgov_cli.checking import judge_all

    # Data is on stdout; what readers log goes to stderr, and only when something is wrong.
    logs.set_up(Log(level="info" if run.verbose else "warning"), lasting=False)
    return judge_all(cases, count, run.config, rules, local_date(utc_now()), trust_roots)


def _show(run: Runtime, judged: Sequence["Judged"]) -> None:
    """JSON for programs, a line for each finding for scripts, an explanation for people."""
    from mailgov_cli import policy_records as records
    from mailgov_cli.explaining import explain as explained

    if run.as_json:
        run.emit("policy.check/1", [records.record(one) for one in judged], _CHECK_FIELDS)
    elif run.shown_format is Format.TABLE:
        run.emit_text("\n".join(explained(one, run.language) for one in judged))
    else:
        rows = [row for one in judged for row in records.finding_rows(one, run)]
        run.emit("policy.check/1", rows, _FINDING_FIELDS)


def _check_manifest(run: Runtime, rules: Ruleset, path: Path, *, as_wanted: bool) -> Exit:
    from mailgov_cli import policy_records as records
    from mailgov_cli.manifest import read_manifest

    manifest = read_manifest(path)
    cases = manifest.cases()
    judged = list(_judged(run, cases, len(manifest.rows), rules, manifest.trust_roots))
    pairs = list(zip(judged, manifest.wanted, strict=True))
    met = [wanted.is_met(one) for one, wanted in pairs]
    if run.as_json:
        told = [
            {
                **records.record(one),
                "id": one.case.id,
                "wanted": records.wanted_record(wanted),
                "as_wanted": ok,
            }
            for (one, wanted), ok in zip(pairs, met, strict=True)
        ]
        run.emit("policy.check/1", told, ("id", *_CHECK_FIELDS, "wanted", "as_wanted"))
    else:
        rows = [records.compared(*pair, met=ok) for pair, ok in zip(pairs, met, strict=True)]
        run.emit("policy.check/1", rows, ("id", "file", "wanted", "found", "as_wanted"))
    run.say("as-wanted", met=sum(met), cases=len(met))
    delivered = as_wanted or all(one.verdict.delivers for one in judged)
    return Exit.DONE if delivered and all(met) else Exit.FOUND


def _rows(rules: Ruleset, agency: str, on: date) -> Iterator[Row]:
    """Every row; for an agency those that speak for it today."""
    if not agency:
        yield from rules.rows
        return
    for rule in (*RULES, *rules.own):
        spoken = [rules.row(rule.key, direction, View(agency), on) for direction in rule.directions]
        yield from dict.fromkeys(row for row in spoken if row is not None)
    yield from (row for row in rules.rows if row.key in DUTIES)
