"""What the processes do: one function per role, found by `mailgov serve` as entry points."""
