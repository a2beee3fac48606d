"""`mailgov demo`: the whole platform on sample data, for a first look."""

from pathlib import Path
from typing import Annotated

import typer

from mailgov_cli.commands.serve import ReadyJson, print_ready
from mailgov_cli.grammar import Noun, Place
from mailgov_cli.runtime import runtime

app = Noun(single=True, place=Place.SERVER)

PORTS = {"fixed", "free"}


@app.command(epilog="mailgov demo\nmailgov demo --ports free --no-samples")
def demo(
    ctx: typer.Context,
    data: Annotated[Path, typer.Option("--data", help="folder of the demonstration")] = Path(
        "demo-data"
    ),
    ports: Annotated[
        str, typer.Option("--ports", help="fixed: those of its config.toml; free: picked")
    ] = "fixed",
    samples: Annotated[
        bool, typer.Option("--samples/--no-samples", help="send the sample messages")
    ] = True,
    ready_json: ReadyJson = False,
) -> None:
    """Make sample agencies, people and keys; serve everything on loopback; send sample messages."""
    import uvloop

    from mailgov.demo import Demo
    from mailgov_cli.exits import UsageMistake

    if ports not in PORTS:
        raise UsageMistake("choice-unknown", given=ports, known=", ".join(sorted(PORTS)))
    run = runtime(ctx)

    def ready(listeners: dict[str, str], logins: list[dict[str, str]]) -> None:
        if ready_json:
            print_ready(listeners, logins)

    def tell(line: str) -> None:
        if not run.quiet:
            typer.echo(line, err=True)

    demonstration = Demo(
        data, free_ports=ports == "free", language=run.language, tell=tell, ready=ready
    )
    demonstration.prepare()
    uvloop.run(demonstration.run(send_samples=samples))
