"""The version, in one place for programs (pyproject.toml has it for packaging; a test holds them together)."""

VERSION = "0.1.0"
