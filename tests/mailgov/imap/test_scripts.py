"""Published session scripts that concern IMAP4rev1, on both engines."""

from pathlib import Path

import pytest

from tests.support.imap_engines import Engine
from tests.support.imaptest import Runner, load

# Those left out try extensions that the embedded server does not announce.
SCRIPTS = [
    "atoms", "copy", "fetch-body", "fetch-body-message-rfc822-x2", "fetch-body-mime", "logout",
    "mutf7", "pipeline", "search-addresses", "search-date", "subscribe", "uidvalidity",
]  # fmt: skip


@pytest.mark.corpus
@pytest.mark.parametrize("name", SCRIPTS)
def test_script(engine: Engine, corpus: Path, name: str) -> None:
    script = load(corpus / "third-party" / "imap" / "imaptest-scripts" / name)
    state = script.settings.get("state", "selected")
    address = "" if state == "nonauth" else engine.mailbox()
    wires = [engine.wire(address) for _ in range(int(script.settings.get("connections", "1")))]
    try:
        Runner(script, wires, {"mailbox": "imaptest"}).run()
    finally:
        for wire in wires:
            wire.close()
