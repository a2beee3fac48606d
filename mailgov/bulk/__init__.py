"""Spreadsheets of thousands: read, compared with the directory, shown as a diff, applied with a journal.

`sheets` reads a file as rows of text, `columns` finds the headings, `staff` gives each row its
meaning, `plan` compares it with the directory, `apply` writes it in batches, `jobs` remembers, goes
on and takes back, `workbooks` writes the template, the rows that were rejected, and the export.
Cost grows with the rows of the file, and with the addresses of the domains that it names.
"""
