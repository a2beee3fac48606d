"""Every published session script on both engines; those that try what an engine lacks are named."""

from pathlib import Path

import pytest

from tests.conftest import CORPUS
from tests.support.imap_engines import Engine
from tests.support.imaptest import Runner, load

FOLDER = Path("third-party") / "imap" / "imaptest-scripts"
NO_SCRIPTS = {"COPYING.MIT", "COPYING", "Makefile.am"}

# Extensions that an engine does not announce, with the scripts that try them.
LACKING = {
    "embedded": {
        "BINARY": {
            "append-binary", "fetch-binary-mime", "fetch-binary-mime-base64", "fetch-binary-mime-qp",
        },
        "CATENATE": {"catenate", "catenate-multiappend"},
        "MULTIAPPEND": {"multiappend", "catenate-multiappend"},
        "ESEARCH": {"esearch", "esearch-condstore"},
        "ESORT": {"esort"},
        "LIST-EXTENDED": {"listext"},
        "CONTEXT=SEARCH": {
            "search-context-update", "search-context-update2", "search-context-update3",
            "search-partial",
        },
        "CONTEXT=SORT": {"sort-partial"},
        "SORT": {"sort-addresses", "sort-arrival", "sort-date", "sort-size", "sort-subject"},
        "SORT=DISPLAY": {"sort-display-from", "sort-display-to"},
        "THREAD=ORDEREDSUBJECT": {"thread-orderedsubject", "thread-orderedsubject2"},
        "THREAD=REFERENCES": {
            "thread", "thread2", "thread3", "thread4", "thread5", "thread6", "thread7", "thread8",
        },
        "URLAUTH": {"urlauth", "urlauth2", "urlauth-binary"},
        "NOTIFY": {"notify"},
    },
    "dovecot": {
        "CONTEXT=SORT": {"sort-partial"},
        "URLAUTH": {"urlauth", "urlauth2", "urlauth-binary"},
    },
}  # fmt: skip
# Scripts that an engine does not pass although it announces what they try: Dovecot's mail_save_crlf
# stores a bare LF as CRLF, in binary parts too; no mail of ours holds one.
FAILING = {("dovecot", "append-binary")}


def scripts() -> list[str]:
    """Names of the scripts; one that says so where there is no corpus."""
    folder = CORPUS / FOLDER
    if not folder.is_dir():
        return ["no-corpus"]
    return sorted(
        file.name
        for file in folder.iterdir()
        if file.is_file() and not file.suffix and file.name not in NO_SCRIPTS
    )


def announced(engine: Engine) -> set[str]:
    with engine.wire(engine.addresses[0]) as wire:
        (capability,) = wire.ok(b"CAPABILITY")
    return set(capability.decode().upper().split())


@pytest.mark.corpus
@pytest.mark.parametrize("name", scripts())
def test_script(engine: Engine, corpus: Path, name: str) -> None:
    script = load(corpus / FOLDER / name)
    missing = script.capabilities - announced(engine)
    if missing:
        # What is left out is left out for its extension, and the table says so.
        named = {word for word, names in LACKING[engine.name].items() if name in names}
        assert missing & named, f"{name} needs {missing}"
        return
    if (engine.name, name) in FAILING:
        with pytest.raises(AssertionError):
            run(engine, name, corpus)
        return
    run(engine, name, corpus)


def run(engine: Engine, name: str, corpus: Path) -> None:
    script = load(corpus / FOLDER / name)
    nobody = script.settings.get("state", "selected") == "nonauth"
    address = engine.mailbox()
    local, _, domain = address.partition("@")
    names = {
        "mailbox": "imaptest", "mailbox_url": "imaptest",
        "user": address, "username": local, "domain": domain,
    }  # fmt: skip
    wires = [
        engine.wire("" if nobody else address)
        for _ in range(int(script.settings.get("connections", "1")))
    ]
    try:
        Runner(script, wires, dict(names)).run()
    finally:
        for wire in wires:
            wire.close()
