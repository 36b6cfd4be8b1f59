"""How agents come in: HTTP for everybody, SSE for older clients, stdio for one agent; keys, sessions and pages."""
