"""A whole platform on sample data, on loopback, for a first look."""

from mailgov.demo.run import Demo

__all__ = ["Demo"]
