"""What happens to mailboxes, people and agencies over the years, and on which day."""
