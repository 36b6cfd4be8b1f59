"""The task-runner: the hub, the queue, leases and the catalogue; sole owner of the executions' store."""

from ratchet.actor import ActorSetup, run_actor


def start(setup: ActorSetup) -> None:
    """Be the task-runner's process."""
    from actors.task_runner.actor import main

    run_actor(setup, main)
