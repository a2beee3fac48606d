"""`mailgov db`: the schema of the database."""

import typer

from mailgov_cli.grammar import Noun, Place
from mailgov_cli.runtime import runtime

app = Noun(place=Place.SERVER)


@app.command(epilog="mailgov db migrate")
def migrate(ctx: typer.Context) -> None:
    """Bring the database to the schema of this program; makes data folder and database at first."""
    from mailgov.db.migrate import current_revision, migrate, wanted_revision

    run = runtime(ctx)
    run.config.data.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = run.open_database()
    wanted = wanted_revision()
    before = current_revision(database)
    migrate(database)
    record = {"before": before, "after": wanted, "changed": before != wanted}
    run.emit("db.migrate/1", [record], tuple(record), single=True)
