import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailgov.mailstore import master


def test_the_secret_stays_and_is_ours_alone(tmp_path: Path) -> None:
    secret = master.secret(tmp_path)
    file = tmp_path / "run" / "imap-master"
    assert master.secret(tmp_path) == secret
    assert len(secret) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_all_who_ask_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(master.secret, [tmp_path] * 64))
    assert len(secrets) == 1
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["imap-master"]


def test_the_name_under_which_the_webmail_signs_in() -> None:
    assert master.login_name("an@vidu.gov.vn") == "an@vidu.gov.vn*webmail"
