"""The llm-gateway: asks LLM providers and other MCP servers for tasks, and is the only one who has their keys."""

from ratchet.actor import ActorSetup, run_actor


def start(setup: ActorSetup) -> None:
    """Be the gateway's process."""
    from actors.llm_gateway.actor import main

    run_actor(setup, main)
