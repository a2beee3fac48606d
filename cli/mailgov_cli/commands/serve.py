"""`mailgov serve`: run the platform on this machine."""

import json
import sys
from typing import Annotated

import typer

from mailgov_cli.grammar import Noun, Place
from mailgov_cli.runtime import runtime

app = Noun(single=True, place=Place.SERVER)

ReadyJson = Annotated[
    bool, typer.Option("--ready-json", help="print one line of JSON on stdout when ready")
]


@app.command(epilog="mailgov serve\nmailgov serve relay deliver")
def serve(
    ctx: typer.Context,
    roles: Annotated[
        list[str] | None,
        typer.Argument(
            help="relay, deliver, mailstore, web, metrics, scheduler; none: all; milter for an existing Postfix or Sendmail"
        ),
    ] = None,
    ready_json: ReadyJson = False,
) -> None:
    """Run the roles until SIGTERM or Ctrl+C; then stop gracefully."""
    import uvloop

    from mailgov import logs
    from mailgov.serve import ROLES
    from mailgov.serve import serve as serve_roles
    from mailgov.services import build, running

    run = runtime(ctx)
    config = run.config
    logs.set_up(config.log)

    async def tell(listeners: dict[str, str]) -> None:
        if ready_json:
            print_ready(listeners)
        for name, address in listeners.items():
            run.say("listening", name=name, address=address)
        run.say("ready")

    async def main() -> None:
        async with running(build(config)) as services:
            await serve_roles(
                services, roles or ROLES, when_ready=tell, reread=run.read_config_again
            )

    uvloop.run(main())


def print_ready(listeners: dict[str, str], logins: list[dict[str, str]] | None = None) -> None:
    """The one line of JSON that programs wait for."""
    line = {"ready": True, "listeners": listeners}
    if logins is not None:
        line["logins"] = logins
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()
