"""`mailgov config`: the settings in force."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli.grammar import Noun, Place
from mailgov_cli.runtime import runtime

if TYPE_CHECKING:
    from mailgov.config import Config

app = Noun(place=Place.SERVER)


@app.command(epilog="mailgov config show\nmailgov config show limits")
def show(
    ctx: typer.Context,
    section: Annotated[
        str, typer.Argument(help="only this section or setting", metavar="SECTION")
    ] = "",
) -> None:
    """Every setting with its value, default and purpose."""
    from mailgov.errors import NotFound

    run = runtime(ctx)
    rows = [
        row
        for row in _settings(run.config)
        if not section or row["key"] == section or row["key"].startswith(f"{section}.")
    ]
    if not rows:
        raise NotFound("setting-unknown", key=section)
    run.emit("config.show/1", rows, ("key", "setting", "default", "purpose"))


def _settings(config: "Config") -> Iterator[dict[str, Any]]:
    from mailgov.config import Config

    defaults = Config.model_construct()
    shown = config.model_dump(mode="json")
    usual = defaults.model_dump(mode="json")
    for section, keys in shown.items():
        fields = type(getattr(config, section)).model_fields
        for key, value in keys.items():
            yield {
                "key": f"{section}.{key}",
                "setting": "***" if (section, key) == ("database", "url") and value else value,
                "default": usual[section][key],
                "purpose": fields[key].description,
            }


@app.command(epilog="mailgov config check\nmailgov --config /etc/mailgov/config.toml config check")
def check(ctx: typer.Context) -> None:
    """Read the configuration and say whether it is valid; errors name file, key and what was expected."""
    from mailgov.config import find_config

    run = runtime(ctx)
    file = find_config(run.config_file)
    record = {
        "file": str(file) if file else "",
        "valid": bool(run.config),
        "data": str(run.config.data.path),
    }
    run.emit("config.check/1", [record], tuple(record), single=True)
