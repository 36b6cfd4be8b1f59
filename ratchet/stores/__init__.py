"""What outlives a process: executions, log records and spans, each in a SQLite file with exactly one owner."""
