"""The languages in which a plan can be written: one for each version of Dovecot."""

from collections.abc import Callable, Mapping

from mailgov.mailstore import language_2_3, language_2_4
from mailgov.mailstore.plan import Plan, Version

LANGUAGES: Mapping[Version, Callable[[Plan], str]] = {
    "2.3": language_2_3.written,
    "2.4": language_2_4.written,
}
