"""One file per page: functions from a visit to an answer. `routes.py` says who may come in."""
