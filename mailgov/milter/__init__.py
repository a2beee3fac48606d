"""The milter face: an existing Postfix or Sendmail asks us what to do with each of its messages.

The mail server keeps the message; we read it, judge it by the same rules as our own, and answer.
Protocol version 6 as libmilter of Sendmail 8.18 and Postfix (MILTER_README) speak it.
"""

from mailgov.milter.server import MilterServer

__all__ = ["MilterServer"]
