"""The node: on a machine that only works, the one actor beside its workers. It speaks for them to the head's runner."""

from ratchet.actor import ActorSetup, run_actor


def start(setup: ActorSetup) -> None:
    """Be a node's process."""
    from actors.node.actor import main

    run_actor(setup, main)
