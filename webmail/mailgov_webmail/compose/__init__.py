"""Writing: the letter and its draft, what the gate says of it, and the message it becomes."""
