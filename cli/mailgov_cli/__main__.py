"""`python -m mailgov_cli`: the same as `mailgov`."""

from mailgov_cli.app import app

app()
