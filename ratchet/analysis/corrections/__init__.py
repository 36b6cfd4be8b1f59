"""Corrections of an input that a failure speaks for, each verified against the schema before it is offered."""
