"""One file per noun. Each has `app`, a `grammar.Noun`; `mailgov_cli.app` imports it when asked for."""
