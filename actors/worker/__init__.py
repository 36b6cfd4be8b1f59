"""The worker: keeps a zygote and children, runs attempts in them, and never runs user code itself."""

from ratchet.actor import ActorSetup, run_actor


def start(setup: ActorSetup) -> None:
    """Be a worker's process."""
    from actors.worker.actor import main

    run_actor(setup, main)
