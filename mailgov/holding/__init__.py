"""Held messages: who decides on them until when, who is told, and what may be done to them."""
