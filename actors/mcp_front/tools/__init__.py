"""The table of tools, and what each of them asks of the other actors."""
