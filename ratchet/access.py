"""Who may call what on whom: the access table of the hub, by role. Everything that is not here is denied."""

_CLIENT_CALLS = (
    ("task-runner", "executions."),
    ("task-runner", "tasks."),
    ("log-store", "logs.read"),
    ("trace-store", "spans.read"),
    ("*", "health."),
)

# (role of the caller, role of the callee, prefix of the method)
ACCESS: frozenset[tuple[str, str, str]] = frozenset(
    {
        *(("cli", role, prefix) for role, prefix in _CLIENT_CALLS),
        *(("mcp-front", role, prefix) for role, prefix in _CLIENT_CALLS),
        ("mcp-front", "task-runner", "policy."),
        ("mcp-front", "task-runner", "audit.append"),
        ("mcp-front", "task-runner", "asks.read"),
        ("mcp-front", "task-runner", "asks.answer"),
        ("llm-gateway", "task-runner", "asks.ask"),
        ("worker", "task-runner", "asks.withdraw"),
        ("cli", "task-runner", "audit.read"),
        *(("cli", "task-runner", f"nodes.{verb}") for verb in ("token", "list", "drain", "resume", "revoke")),
        ("cli", "task-runner", "retention."),
        ("cli", "task-runner", "news."),
        ("cli", "log-store", "logs.follow"),
        ("log-store", "task-runner", "executions.get"),
        ("task-runner", "*", "health."),
        ("task-runner", "log-store", "logs.append"),
        ("task-runner", "trace-store", "spans.append"),
        ("task-runner", "log-store", "logs.stored"),
        ("task-runner", "log-store", "logs.prune"),
        ("task-runner", "trace-store", "spans.stored"),
        ("task-runner", "trace-store", "spans.prune"),
        ("task-runner", "worker", "attempts."),
        ("task-runner", "worker", "files."),
        ("task-runner", "worker", "workers."),
        ("task-runner", "mcp-front", "tasks.changed"),
        ("task-runner", "node", "nodes.changed"),
        ("node", "task-runner", "nodes.register"),
        ("joiner", "task-runner", "nodes.enrol"),
        ("worker", "task-runner", "attempts."),
        ("worker", "task-runner", "workers.register"),
        ("worker", "task-runner", "calls.run"),
        ("worker", "log-store", "logs.append"),
        ("task-runner", "node", "files.find"),
        ("node", "task-runner", "nodes.code_changed"),
        ("node", "task-runner", "nodes.worker_exited"),
        ("worker", "trace-store", "spans.append"),
        ("worker", "llm-gateway", "llm."),
        ("worker", "llm-gateway", "mcp."),
    }
)
