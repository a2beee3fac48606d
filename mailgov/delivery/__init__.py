"""Handing messages on: routes, transports, notices, and the worker that runs them."""
