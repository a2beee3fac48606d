"""One run of the command line: what was asked for globally, and what commands need of the platform.

Imports of the platform stand inside: help and mistakes of usage must answer at once.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from mailgov.texts import Language
from mailgov_cli import acting, output, words
from mailgov_cli.exits import UsageMistake
from mailgov_cli.output import LIMIT, Format, Row

if TYPE_CHECKING:
    from sqlmodel import Session

    from mailgov.access import Authority
    from mailgov.config import Config
    from mailgov.db import Database
    from mailgov.directory.provisioning import Act, Change
    from mailgov.lookups import PlainDatabase
    from mailgov.whereabouts import Whereabouts


class StoppedReading(Exception):
    """Whoever read our output has seen enough, as `head` does."""


@dataclass
class Runtime:
    """Global options of this run; opened things are closed when it ends."""

    language: Language = "vi"
    format: Format | None = None
    fields: str = ""
    output: Path | None = None
    config_file: Path | None = None
    quiet: bool = False
    verbose: int = 0
    no_input: bool = False
    acting_as: str = ""  # mailbox whose holder's roles are taken on
    verb: str = ""  # the command under way, such as `mailbox add`
    server: str = ""  # where commands run, when not here
    token_file: Path | None = None  # with the token for it
    timeout: float = 30.0  # seconds that it may be silent
    caller: "Authority | None" = None  # who called from elsewhere; None: typed at this machine
    asked: tuple[str, ...] = ()  # what a caller from elsewhere would have been asked
    told: "Callable[[int, int], None] | None" = None  # takes progress: done, of how many
    _authority: "Authority | None" = None
    _opened: "list[Database | PlainDatabase]" = field(default_factory=list)

    # What the platform holds -------------------------------------------------------------------

    @cached_property
    def config(self) -> "Config":
        """The configuration. Raises ConfigError."""
        from mailgov.config import find_config, load_config

        return load_config(find_config(self.config_file))

    @cached_property
    def whereabouts(self) -> "Whereabouts":
        """Data folder and database, without checking the rest of the configuration.

        Raises ConfigError.
        """
        from mailgov.whereabouts import find_config, whereabouts

        return whereabouts(find_config(self.config_file))

    def read_config_again(self) -> "Config":
        """The configuration as the file is now. Raises ConfigError."""
        from mailgov.config import find_config, load_config

        return load_config(find_config(self.config_file))

    @cached_property
    def lookups(self) -> "PlainDatabase":
        """The same database for look-ups that answer at once: no mapper is loaded.

        Raises as `database` does.
        """
        from mailgov.lookups import PlainDatabase, require_schema

        self._require_data()
        source = PlainDatabase(self.whereabouts.database_url, acting.tops(self))
        self._opened.append(source)
        require_schema(source, is_sqlite=source.file is not None)
        return source

    def _require_data(self) -> None:
        from mailgov.errors import ConfigError

        if not self.whereabouts.data.is_dir():
            raise ConfigError("data-missing", folder=self.whereabouts.data)

    @cached_property
    def database(self) -> "Database":
        """The database with the schema of this program.

        Raises ConfigError `data-missing`, Unavailable `schema-outdated` or `database-unavailable`.
        """
        from mailgov.lookups import SessionSource, require_schema

        self._require_data()
        database = self.open_database()
        if database.file is not None and not database.file.exists():
            from mailgov.errors import Unavailable

            raise Unavailable("schema-missing", file=database.file)
        with database.read() as session:
            require_schema(SessionSource(session), is_sqlite=database.is_sqlite)
        if acting.narrows(self):
            self._authority = acting.keep(self, database)
        return database

    def open_database(self) -> "Database":
        """The database in whatever state it is; closed when the run ends."""
        from mailgov.db import Database

        database = Database(self.config.database_url, readers=1, writers=1)
        self._opened.append(database)
        return database

    def act(self, reason: str = "") -> "Act":
        """Who acts, when and why: what the ledger keeps of a change."""
        from mailgov.clock import utc_now
        from mailgov.directory.provisioning import Act

        return Act(actor=self.actor, at=utc_now(), reason=reason)

    @property
    def actor(self) -> str:
        """Who acts, as the ledger keeps it."""
        if not acting.narrows(self):
            return f"cli:{acting.account()}"
        return self.authority.actor

    @property
    def authority(self) -> "Authority":
        """Who acts, and with which roles. Raises NotAllowed `account-without-role`."""
        if self._authority is None:
            self._authority = acting.authority(self, self.database)
        return self._authority

    @contextmanager
    def change(self, *, dry_run: bool) -> "Iterator[Session]":
        """A transaction; with `dry_run` everything is done and checked, and nothing is kept."""
        from sqlalchemy.exc import IntegrityError

        try:
            with self.database.write() as session:
                yield session
                session.flush()
                if dry_run:
                    session.rollback()
        except IntegrityError as exc:
            if not acting.narrows(self):
                raise
            # What could not be seen has this address, code or number already.
            from mailgov.errors import Conflict

            raise Conflict("taken-outside") from exc

    def close(self) -> None:
        """Close what was opened."""
        while self._opened:
            self._opened.pop().close()

    # What the person sees ----------------------------------------------------------------------

    @property
    def as_json(self) -> bool:
        """Whether programs read this run: then errors are objects too, and words are left out."""
        return self.format in (Format.JSON, Format.JSONL)

    @property
    def shown_format(self) -> Format:
        """The format asked for, else by the ending of the file, else a table on a terminal."""
        if self.format is not None:
            return self.format
        if self._to_file and self.output and self.output.suffix[1:] in set(Format):
            return Format(self.output.suffix[1:])
        return Format.TSV if self._to_file or not sys.stdout.isatty() else Format.TABLE

    @property
    def _to_file(self) -> bool:
        return self.output is not None and str(self.output) != "-"

    def emit(
        self,
        schema: str,
        rows: Iterable[Row],
        fields: Sequence[str],
        *,
        single: bool = False,
        cursor: str | None = None,
    ) -> None:
        """Write rows to stdout or to the file of `-o`, in the format asked for.

        `fields` are the columns in order; `--fields` chooses among them. `cursor` is where the
        next page of an object begins.
        """
        chosen = self._chosen(fields)
        on_terminal = not self._to_file and sys.stdout.isatty()
        with self._target() as stream:
            output.write(
                stream,
                self.shown_format,
                schema,
                rows,
                chosen,
                language=self.language,
                width=shutil.get_terminal_size().columns if on_terminal else None,
                single=single,
                cursor=cursor,
            )

    def page_of(self, limit: int | None) -> int | None:
        """How many rows a list is to have; None: all of them, one after the other.

        Without `--limit` people and objects get a page, lines for programs come whole.
        """
        if limit is None and self.shown_format in (Format.TABLE, Format.JSON):
            return LIMIT
        return limit

    def emit_page(
        self, schema: str, rows: Iterator[Row], fields: Sequence[str], page: int | None, key: str
    ) -> None:
        """Write a page of rows, or all that come when `page` is None.

        `rows` may have one more than the page: then there is a next one, after the last row's `key`.
        """
        if page is None:
            self.emit(schema, rows, fields)
            return
        shown = list(islice(rows, page + 1))
        cursor = shown[page - 1][key] if len(shown) > page else None
        self.emit(schema, shown[:page], fields, cursor=cursor)
        self.tell_of_more(shown, page)

    def emit_text(self, text: str) -> None:
        """Write prepared text, for people, to stdout or to the file of `-o`."""
        with self._target() as stream:
            stream.write(text)

    def emit_change(self, schema: str, change: "Change", *, dry_run: bool) -> None:
        """Print what a change does to each field, and say so in words on stderr."""
        fields = ("target", "field", "old", "new")
        rows = [
            {"target": change.target, "field": name, "old": old, "new": new}
            for name, (old, new) in change.changes.items()
        ]
        if self.as_json:
            record = {
                "noun": change.noun,
                "target": change.target,
                "changed": not change.nothing,
                "dry_run": dry_run,
                "changes": [{key: row[key] for key in fields[1:]} for row in rows],
                **change.details,
            }
            self.emit(schema, [record], tuple(record))
        elif rows:
            self.emit(schema, rows, fields)
        key = "nothing" if change.nothing else ("dry-run" if dry_run else change.verb)
        self.say(key, noun=self.noun(change.noun), target=change.target)

    def noun(self, name: str) -> str:
        """A kind of thing in the language of this run."""
        return words.say(self.language, "noun", name)

    def say(self, key: str, /, **fields: Any) -> None:
        """Words on stderr, unless `-q` or programs read."""
        if not self.quiet and not self.as_json:
            print(words.say(self.language, "say", key, **fields), file=sys.stderr)  # noqa: T201

    def ask(self, key: str, /, **fields: Any) -> None:
        """Go on only if the person at the terminal answers y.

        Raises ConsentMissing `consent-missing`.
        """
        from mailgov.errors import ConsentMissing

        may_ask = not self.no_input and sys.stdin.isatty()
        text = words.say(self.language, "say", key, **fields)
        if not may_ask:
            self.asked = ("consent", text)
        if not may_ask or not typer.confirm(text, err=True):
            raise ConsentMissing("consent-missing")

    def require_name(self, name: str, given: str, key: str, /, **fields: Any) -> None:
        """Go on only if the name of what can't be brought back was given, or is typed now.

        Raises ConsentMissing `name-missing`, `name-differs`.
        """
        from mailgov.errors import ConsentMissing

        if not given and not self.no_input and sys.stdin.isatty():
            text = words.say(self.language, "say", key, **fields)
            given = str(typer.prompt(text, default="", show_default=False, err=True))
        if not given:
            self.asked = ("name", words.say(self.language, "say", key, **fields))
            raise ConsentMissing("name-missing", name=name)
        if given.strip().lower() != name.lower():
            raise ConsentMissing("name-differs", name=name)

    def tell_of_more(self, rows: Sequence[Row], limit: int) -> None:
        """Say that a list was cut at `--limit`, when there are more rows than that."""
        if len(rows) > limit:
            self.say("more", limit=limit)

    def next(self, command: str) -> None:
        """The next useful command, on stderr."""
        self.say("next", command=command)

    def _chosen(self, fields: Sequence[str]) -> Sequence[str]:
        if not self.fields:
            return fields
        wanted = [name.strip() for name in self.fields.split(",") if name.strip()]
        if unknown := [name for name in wanted if name not in fields]:
            raise UsageMistake("field-unknown", field=unknown[0], known=", ".join(fields))
        return wanted

    @contextmanager
    def _target(self) -> Iterator[TextIO]:
        from mailgov.errors import InputError

        if self.output is None or not self._to_file:
            try:
                yield sys.stdout
                sys.stdout.flush()
            except BrokenPipeError:
                raise StoppedReading from None
            return
        try:
            stream = self.output.open("w", encoding="utf-8", newline="")
        except OSError as exc:
            raise InputError("file-unwritable", file=self.output, reason=exc.strerror) from exc
        with stream:
            yield stream


def runtime(ctx: typer.Context) -> Runtime:
    """The run that a command belongs to."""
    run = ctx.find_root().obj
    assert isinstance(run, Runtime)
    return run


def read_secret(
    run: Runtime, file: Path | None, *, prompt: bool, confirm: bool = True, about: str = "password"
) -> str | None:
    """A secret from a file, from stdin for `-`, or asked for on a terminal, twice with `confirm`.

    None when there is neither. Raises InputError `file-unreadable`, `secret-empty`.
    """
    from mailgov.errors import InputError

    if file is None:
        if not prompt or run.no_input or not sys.stdin.isatty():
            run.asked = ("secret",) if prompt else ()
            return None
        text = words.say(run.language, "say", about)
        return str(typer.prompt(text, hide_input=True, confirmation_prompt=confirm, err=True))
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as exc:
        raise InputError("file-unreadable", file=file, reason=exc.strerror) from exc
    except UnicodeDecodeError as exc:
        raise InputError("file-unreadable", file=file, reason="UTF-8") from exc
    secret = text.splitlines()[0] if text else ""
    if not secret:
        raise InputError("secret-empty", file=file)
    return secret


def read_text(file: Path) -> str:
    """A text from a file, from stdin for `-`. Raises InputError `file-unreadable`."""
    from mailgov.errors import InputError

    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as exc:
        raise InputError("file-unreadable", file=file, reason=exc.strerror) from exc
    except UnicodeDecodeError as exc:
        raise InputError("file-unreadable", file=file, reason="UTF-8") from exc
