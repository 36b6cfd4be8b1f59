"""Asking an LLM, or another MCP server, from a task: what is asked and answered, and what is decided about it. Pure."""
