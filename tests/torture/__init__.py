"""Faults on purpose: what was answered 250 is never lost. `python -m tests.torture --help`."""
