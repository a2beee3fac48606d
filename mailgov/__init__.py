"""The platform: everything between a socket and a report. Start reading at `intake.py`."""

__version__ = "0.1.0"
