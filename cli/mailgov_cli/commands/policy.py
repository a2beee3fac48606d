"""`mailgov policy`: the rules in force, what each means, and what they say of a message."""

from collections.abc import Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov import texts
from mailgov.clock import local_date, utc_now
from mailgov.errors import InputError, MailgovError, NotFound
from mailgov_cli import exits, words
from mailgov_cli.exits import Exit, UsageMistake
from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, Reason, Since, parse_moment
from mailgov_cli.output import Format
from mailgov_cli.runtime import Runtime, runtime
from mailgov_policies import (
    DUTIES,
    RULES,
    RULES_BY_KEY,
    Action,
    Authentication,
    Row,
    Ruleset,
    View,
)

if TYPE_CHECKING:
    from mailgov_cli.checking import Case, Judged
    from mailgov_cli.manifest import Wanted

app = Noun()

RulesetFile = Annotated[
    Path | None,
    typer.Option("--ruleset", help="ruleset file over the default pack", metavar="FILE"),
]
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
    run = runtime(ctx)
    rules = _in_force(run, agency) if agency and ruleset is None else _read(ruleset)
    rows = [_row_record(row, run) for row in _rows(rules, agency, local_date(utc_now()))]
    run.emit("policy.list/1", rows, _LIST_FIELDS)


@app.command(
    epilog="mailgov policy explain legacy-encoding\nmailgov policy explain secret-mark --json"
)
def explain(
    ctx: typer.Context,
    code: Annotated[str, typer.Argument(help="code of a rule", metavar="CODE")],
    ruleset: RulesetFile = None,
) -> None:
    """One rule: what it says, on which law, how grave, and how its findings are mended."""
    from mailgov_cli.explaining import rule_record

    run = runtime(ctx)
    for_people = run.shown_format is Format.TABLE
    record = rule_record(code, run.language, for_people=for_people)
    if not record:
        near = get_close_matches(code, [*RULES_BY_KEY, *DUTIES], n=3)
        raise NotFound("rule-unknown", key=code, near=", ".join(near) or "-")
    told = _level_in_words if for_people else _row_record
    record["levels"] = [told(row, run) for row in _read(ruleset).of(code)]
    run.emit("policy.explain/1", [record], tuple(record), single=True)


@app.command(
    epilog="""mailgov policy check thu.eml
    mailgov policy check thu.eml --from an.nv@tinhmau.gov.vn --to vanthu@bomau.gov.vn --json
    mailgov policy check thu.eml --direction inbound --auth-results ket-qua.txt
    mailgov policy check --manifest ca-kiem-thu/manifest.json --ruleset tinh-mau.toml"""
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
    epilog="mailgov policy lint tinh-mau.toml\nmailgov policy lint H99.toml H99.02.toml --json"
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
    mailgov policy set file-format --level hold --agency H99.02 --basis 'QĐ 12/2026/QĐ-UBND'""",
)
def set_(
    ctx: typer.Context,
    code: Annotated[str, typer.Argument(help="code of a rule", metavar="CODE")],
    agency: Annotated[str, typer.Option("--agency", help="code of the agency it holds for")],
    level: Annotated[
        str, typer.Option("--level", help="action from now on; cases of the rule keep theirs")
    ] = "",
    mode: Annotated[str, typer.Option("--mode", help="off, record or enforce")] = "",
    basis: Annotated[str, typer.Option("--basis", help="the law that it rests on")] = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Make a rule graver or milder for an agency and all below it, from today on."""
    from mailgov_cli.rulesets import set_level

    run = runtime(ctx)
    if not (level or mode):
        raise UsageMistake("level-or-mode")
    values = {"mode": mode, "action": level, "basis": basis}
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
    from mailgov_cli.explaining import explain as explained

    if run.as_json:
        run.emit("policy.check/1", [_record(one) for one in judged], _CHECK_FIELDS)
    elif run.shown_format is Format.TABLE:
        run.emit_text("\n".join(explained(one, run.language) for one in judged))
    else:
        rows = [row for one in judged for row in _finding_rows(one, run)]
        run.emit("policy.check/1", rows, _FINDING_FIELDS)


def _check_manifest(run: Runtime, rules: Ruleset, path: Path, *, as_wanted: bool) -> Exit:
    from mailgov_cli.manifest import read_manifest

    manifest = read_manifest(path)
    cases = manifest.cases()
    judged = list(_judged(run, cases, len(manifest.rows), rules, manifest.trust_roots))
    pairs = list(zip(judged, manifest.wanted, strict=True))
    met = [wanted.is_met(one) for one, wanted in pairs]
    if run.as_json:
        records = [
            {**_record(one), "id": one.case.id, "wanted": _wanted_record(wanted), "as_wanted": ok}
            for (one, wanted), ok in zip(pairs, met, strict=True)
        ]
        run.emit("policy.check/1", records, ("id", *_CHECK_FIELDS, "wanted", "as_wanted"))
    else:
        rows = [_compared(*pair, met=ok) for pair, ok in zip(pairs, met, strict=True)]
        run.emit("policy.check/1", rows, ("id", "file", "wanted", "found", "as_wanted"))
    run.say("as-wanted", met=sum(met), cases=len(met))
    good = met if as_wanted else [one.verdict.delivers for one in judged]
    return Exit.DONE if all(good) else Exit.FOUND


def _compared(one: "Judged", wanted: "Wanted", *, met: bool) -> dict[str, Any]:
    from mailgov_cli.manifest import outcome_of

    return {
        "id": one.case.id,
        "file": one.case.file,
        "wanted": _told((wanted.action, *wanted.also_ok), wanted.reasons, wanted.doc_type),
        "found": _told((outcome_of(one),), one.verdict.labels, _kind(one)),
        "as_wanted": met,
    }


def _record(one: "Judged") -> dict[str, Any]:
    """The stable JSON of one message."""
    verdict, content = one.verdict, one.facts.content
    document = content.document
    return {
        "file": one.case.file,
        "action": verdict.action.label,
        "code": verdict.code,
        "findings": [
            {
                "code": finding.code,
                "action": finding.action.label,
                "where": finding.where,
                "evidence": dict(finding.evidence),
            }
            for finding in verdict.findings
        ],
        "document": {}
        if document is None
        else {
            "category": document.category,
            "type": document.type,
            "number": document.number,
            "symbol": document.symbol,
            "notation": document.notation,
            "date": document.date,
            "agency": document.agency,
            "abstract": document.abstract,
            "urgency": document.urgency,
            "due": document.due,
            "place": document.place,
            "words": list(document.words),
            "confidence": document.confidence,
            "declared": content.declared is not None,
        },
        "labels": list(verdict.labels),
    }


def _finding_rows(one: "Judged", run: Runtime) -> Iterator[dict[str, Any]]:
    """A line for each finding; a message without any still has one."""
    from mailgov_cli.explaining import basis, numbered, sentence

    head = {"file": one.case.file, "action": one.verdict.action.label, "code": one.verdict.code}
    if not one.verdict.findings:
        yield head
    for finding in one.verdict.findings:
        yield {
            **head,
            "finding": finding.code,
            "where": finding.where,
            "sentence": sentence(finding, run.language),
            "basis": basis(finding, run.language),
            "mend": numbered(texts.rule_steps(run.language, finding.code, "webmail")),
        }


def _wanted_record(wanted: "Wanted") -> dict[str, Any]:
    return {
        "action": wanted.action,
        "also_ok": list(wanted.also_ok),
        "reasons": list(wanted.reasons),
        "doc_type": wanted.doc_type or None,
    }


def _told(actions: Sequence[str], reasons: Sequence[str], kind: str) -> str:
    """`reject|hold legacy-encoding (thong-bao)`."""
    told = [" ".join(("|".join(actions), *reasons))]
    return " ".join([*told, f"({kind})"] if kind else told)


def _kind(one: "Judged") -> str:
    document = one.facts.content.document
    return (document.type or document.category) if document else ""


def _rows(rules: Ruleset, agency: str, on: date) -> Iterator[Row]:
    """Every row; for an agency those that speak for it today."""
    if not agency:
        yield from rules.rows
        return
    for rule in (*RULES, *rules.own):
        spoken = [rules.row(rule.key, direction, View(agency), on) for direction in rule.directions]
        yield from dict.fromkeys(row for row in spoken if row is not None)
    yield from (row for row in rules.rows if row.key in DUTIES)


def _row_record(row: Row, run: Runtime) -> dict[str, Any]:
    rule = RULES_BY_KEY.get(row.key)
    return {
        "code": row.key,
        "name": texts.rule_title(run.language, row.key),
        "mode": row.mode,
        "action": row.action.label if row.key not in DUTIES else "",
        "cases": {case: action.label for case, action in row.cases.items()},
        "directions": list(row.directions),
        "locked": row.locked,
        "version": rule.version if rule else None,
        "basis": row.basis,
        "ruleset": row.ruleset,
        "settings": dict(row.settings.values),
        "agencies": list(row.agencies),
        "mailbox_kinds": list(row.mailbox_kinds),
        "from": row.begins,
        "until": row.ends,
        "confidence": row.confidence,
    }


def _level_in_words(row: Row, run: Runtime) -> str:
    """How grave a row makes its findings, in one line."""
    from mailgov_cli.explaining import action_word

    def told(action: Action) -> str:
        return action_word(action, run.language)

    cases = [f"{case}: {told(action)}" for case, action in row.cases.items()]
    mode = words.find(run.language, "value", "mode", row.mode)
    return f"{row.ruleset}: {mode}, {', '.join([told(row.action), *cases])}"
