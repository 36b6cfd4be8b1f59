"""Who may do what: one decision for every tool, route, resource, prompt and task, whatever it arrives through.

Pure: profiles come from the configuration, decisions from a profile and the facts of the call. Counting calls over time
(`rate_limits`) is the only part with a memory. Fronts and the task-runner ask; nobody decides anything by itself.
"""
