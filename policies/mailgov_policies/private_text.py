"""Text in a private encoding, gathered by the thing it stands in, so that a file is named once."""

from collections.abc import Iterable, Mapping

from mailgov_policies.facts import Text

_UNICODE = ("unicode", "unicode-nfd")  # TCVN 6909:2001 is Unicode, in either normal form


def by_thing(texts: Iterable[Text]) -> Iterable[tuple[Text, ...]]:
    """Texts in other encodings than Unicode: together those of one attachment and encoding."""
    things: dict[tuple[str, str], list[Text]] = {}
    for text in texts:
        if text.encoding not in _UNICODE:
            things.setdefault((text.part or text.place, text.encoding), []).append(text)
    return [tuple(thing) for thing in things.values()]


def evidence(thing: tuple[Text, ...]) -> Mapping[str, str]:
    """The clearest text of the thing, and how many there are."""
    clearest = max(thing, key=lambda text: text.words)
    return {
        "place": clearest.place,
        "file": clearest.file,
        "encoding": clearest.encoding,
        "font": clearest.font,
        "as_read": clearest.as_read,
        "converted": clearest.converted,
        "places": str(len(thing)),
    }


EVIDENCE = ("place", "file", "encoding", "font", "as_read", "converted", "places")
