"""A whole platform on sample data, on loopback, for a first look."""

from mailgov.demo.run import Demo, run

__all__ = ["Demo", "run"]
