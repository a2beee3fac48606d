"""No programs: what runs when somebody opens it, also inside archives.

Judged by the bytes. The name can only convict, never acquit: systems start a file by its name.
Macros in documents are the rule `macro`.
Basis: docs/basis.md#b08.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each program."""
    kinds, extensions = settings.names("kinds"), settings.names("extensions")
    for item in facts.content.attachments:
        if item.kind in kinds or item.extension in extensions:
            yield Hit(RULE.key, attached.place(item), attached.evidence(item, kind=item.kind))


RULE = Rule(
    key="executable",
    id="B08",
    version=1,
    check=check,
    evidence=("place", "file", "kind"),
    settings={
        "kinds": ("exe", "script", "shortcut", "disk-image"),
        "extensions": (
            *("exe", "dll", "scr", "com", "pif", "cpl", "sys", "ocx", "msi", "msp", "mst", "jar"),
            *("bat", "cmd", "js", "jse", "vbs", "vbe", "wsf", "wsh", "wsc", "sct", "hta", "ps1"),
            *("psm1", "reg", "inf", "scf", "lnk", "url", "library-ms", "search-ms", "msc", "chm"),
            *("iso", "img", "vhd", "vhdx", "dmg", "apk", "xll", "appx", "msix", "gadget"),
        ),
    },
)
