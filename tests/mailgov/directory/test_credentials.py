"""Passwords: what they must be, and checking them under load."""

import asyncio
import threading
import unicodedata

import pytest

from mailgov.directory import credentials
from mailgov.directory.credentials import PasswordChecks, hash_password, matches, require_good
from mailgov.errors import InputError, Unavailable

from ...support.directory import PASSWORD


def test_stored_as_argon2id_with_the_agreed_cost() -> None:
    stored = hash_password(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert matches(stored, PASSWORD)
    assert not matches(stored, PASSWORD + " ")
    assert not matches("no PHC string", PASSWORD)


def test_the_same_word_typed_on_another_keyboard_is_the_same_password() -> None:
    stored = hash_password(unicodedata.normalize("NFD", "Nhà cửa 4 mùa!"))
    assert matches(stored, unicodedata.normalize("NFC", "Nhà cửa 4 mùa!"))


def test_a_good_password() -> None:
    require_good(PASSWORD, local_part="annv", names=["Nguyễn Văn An"])


@pytest.mark.parametrize(
    "password",
    [
        "Ngan-1234567",
        "khong-hoa-1234567",
        "KHONG-THUONG-1234",
        "Khong-co-so-nao",
        "KhongKyHieu12345",
    ],
    ids=["short", "no upper case", "no lower case", "no digit", "no symbol"],
)
def test_length_and_classes(password: str) -> None:
    with pytest.raises(InputError, match="password-length"):
        require_good(password, local_part="annv")


@pytest.mark.parametrize(
    "password",
    ["Annv@sonoivu-2026", "Xin chào NGUYÊN 1!!", "Tran-Thi-Bich.1975", "abc-TrầnThịBích-9"],
)
def test_names_do_not_belong_in_it(password: str) -> None:
    with pytest.raises(InputError, match="password-content"):
        require_good(password, local_part="annv", names=["Nguyễn Văn An", "Trần Thị Bích"])


def test_a_bound_on_what_a_stranger_can_make_us_hash() -> None:
    with pytest.raises(InputError, match="password-too-long"):
        require_good("Aa1!" * 100, local_part="annv")


async def test_beyond_the_bound_the_answer_is_not_now(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def slow(stored: str, password: str) -> bool:
        return release.wait(10)

    monkeypatch.setattr(credentials, "matches", slow)
    checks = PasswordChecks(at_once=1, waiting=2)
    under_way = [asyncio.create_task(checks.check("stored", "x")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too-busy"):
        await checks.check("stored", "x")
    release.set()
    assert await asyncio.gather(*under_way) == [True, True, True]
    assert await checks.check("stored", "x")
    checks.close()


async def test_an_unknown_name_costs_a_hash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(stored: str, password: str) -> bool:
        hashed.append(stored)
        return True

    monkeypatch.setattr(credentials, "matches", counted)
    checks = PasswordChecks(at_once=1, waiting=1)
    assert not await checks.check(None, "anything")
    assert not await checks.check("stored", "x" * 10_000)
    assert [stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for stored in hashed] == [
        True,
        True,
    ]
    checks.close()
