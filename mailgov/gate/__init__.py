"""What the gate (`mailgov.intake`) works with: its outcomes, the fields it minds, its records."""
