"""Settings: read from one file, checked whole, explained in the example."""

import tomllib
from pathlib import Path

import pytest

from mailgov import config
from mailgov.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.source
def test_the_example_names_every_setting_with_its_default() -> None:
    example = Path(__file__).parents[2] / "config.example.toml"
    assert example.read_text(encoding="utf-8") == config.example()


def test_the_example_is_the_default(tmp_path: Path) -> None:
    assert tomllib.loads(config.example())
    read = config.load_config(written(tmp_path, config.example()))
    assert read.limits == config.Limits()
    assert read.data.path == tmp_path / "data"


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    read = config.load_config(written(tmp_path, '[data]\npath = "state"\n'))
    assert read.data.path == tmp_path / "state"
    assert read.database_url == f"sqlite:///{tmp_path}/state/mailgov.db"


def test_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILGOV_SITE__HOSTNAME", "mail.other.gov.vn")
    read = config.load_config(written(tmp_path, '[site]\nhostname = "mail.vidu.gov.vn"\n'))
    assert read.site.hostname == "mail.other.gov.vn"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[relay]\nmx = 25\n", "`relay.mx`"),
        ('[relay]\nmx = "25"\n', "expected `host:port`"),
        ("[relay]\nport = 25\n", "`relay.port`: no such setting"),
        ("[relays]\n", "`relays`: no such setting"),
        ("[limits]\nerrors = 0\n", "`limits.errors`: Input should be greater than or equal to 1"),
        ('[mailstore]\nengine = "cyrus"\n', "'auto', 'dovecot' or 'embedded'"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load_config(written(tmp_path, text))
    assert caught.value.code == "config-not-valid"
    assert told in caught.value.fields["problems"]
    assert caught.value.fields["file"] == tmp_path / "config.toml"


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load_config(written(tmp_path, '[relay]\nmx = "x"\n[site]\nlanguage = "fr"\n'))
    assert {"`relay.mx`", "`site.language`"} <= set(
        caught.value.fields["problems"].replace(":", " ").split()
    )


def test_a_file_that_is_not_toml_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        config.load_config(written(tmp_path, "[site]\nhostname = \n"))


def test_a_file_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="config-missing"):
        config.find_config(tmp_path / "no.toml")
