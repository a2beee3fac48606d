"""Mail and people from other systems, and mail to take along."""
