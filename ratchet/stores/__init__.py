"""What outlives a process: executions, log records and spans, each in a SQLite file with exactly one owner."""

STORE_FILES = {"executions.db": "executions", "logs.db": "logs", "spans.db": "spans"}
"""The files of a data directory, each with the name of its store."""
