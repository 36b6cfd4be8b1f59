"""The system's health as an answer: problems first. Pure."""

from collections.abc import Mapping, Sequence

from actors.mcp_front.answers.answer import Answer, clip, paragraphs
from ratchet.bodies.health import Health, PeerHealth
from ratchet.models import JsonObject

_COUNTERS_MAX = 30
_PEERS_MAX = 40
_NODES_MAX = 40


def health(runner: Health | None, others: Mapping[str, Health | None], front: Health) -> Answer:
    """The answer of `get_system_health`.

    Args:
        runner: The task-runner's own account; None where it did not answer.
        others: What each store, and the llm-gateway where there is one, says by role; None where one did not answer.
        front: This process's.
    """
    peers = [] if runner is None else runner.peers
    problems = _problems(runner, others, peers)
    known = [one for one in (runner, *others.values(), front) if one is not None]
    structured: JsonObject = {
        "status": "degraded" if problems else "ok",
        "version": front.version,
        "problems": problems,
        "actors": [_peer(one) for one in peers[:_PEERS_MAX]],
        "processes": [_process(one) for one in known],
        "queue": _queue(runner),
        "executions": {} if runner is None else runner.executions,
        "stores": [store.model_dump() for one in known for store in one.stores],
        "counters": _counters(known),
        "tasks": None if runner is None else runner.tasks,
        "broken_files": None if runner is None else runner.broken_files,
        "cluster": _cluster(runner),
    }
    return Answer(structured, _text(structured))


def _problems(runner: Health | None, others: Mapping[str, Health | None], peers: Sequence[PeerHealth]) -> list[str]:
    if runner is None:
        return ["task-runner did not answer: it may be restarting; call again in a few seconds"]
    present = {peer.role for peer in peers}
    found = [f"{role} is not connected" for role in (*others, "worker") if role not in present]
    found += [f"{peer.name} is {peer.liveness}" for peer in peers if peer.liveness != "alive"]
    found += [f"{role} did not answer" for role, one in others.items() if one is None and role in present]
    if runner.broken_files:
        found.append(f"{runner.broken_files} task files cannot be loaded: list_available_tasks shows why")
    if runner.cluster is not None:
        away = (one for one in runner.cluster.nodes if one.status == "enrolled" and not one.connected)
        found += [f"node {one.name} is not connected" for one in away][:_NODES_MAX]
    queued = runner.executions.get("queued", 0)
    for store in (store for one in (runner, *others.values()) if one is not None for store in one.stores):
        if store.damaged:
            found.append(f"{store.path} is damaged: it is looked at when Ratchet starts again")
        found += [f"{one} was damaged and set aside: what it held is missing" for one in store.set_aside]
    if runner.queue_limit is not None and queued >= runner.queue_limit:
        found.append(f"the queue is full: {queued} executions wait")
    return found


def _peer(peer: PeerHealth) -> JsonObject:
    return peer.model_dump(exclude={"incarnation"})


def _process(one: Health) -> JsonObject:
    return {
        "name": one.name,
        "pid": one.pid,
        "version": one.version,
        "uptime_seconds": round(one.uptime_seconds, 1),
        "memory_bytes": one.memory_bytes,
    }


def _queue(runner: Health | None) -> JsonObject | None:
    if runner is None:
        return None
    return {
        "queued": runner.executions.get("queued", 0),
        "running": runner.executions.get("running", 0),
        "input_required": runner.executions.get("input_required", 0),
        "asks_open": runner.asks_open,
        "limit": runner.queue_limit,
        "slots": runner.slots,
        "slots_busy": runner.slots_busy,
    }


def _cluster(runner: Health | None) -> JsonObject | None:
    """Where nodes connect, and how they are; keys and machines are the operator's business."""
    if runner is None or runner.cluster is None:
        return None
    told = {"name", "status", "connected", "version", "workers", "slots", "slots_busy"}
    nodes = [one.model_dump(include=told) for one in runner.cluster.nodes[:_NODES_MAX]]
    return {"address": runner.cluster.address, "nodes": nodes}


def _counters(known: Sequence[Health]) -> JsonObject:
    """What was dropped, late, expired or refused, by process; only where there is any."""
    found = {f"{one.name}.{name}": count for one in known for name, count in one.counters.items() if count}
    return dict(sorted(found.items())[:_COUNTERS_MAX])


def _text(structured: JsonObject) -> str:
    queue, counters = structured["queue"], structured["counters"]
    nodes: list[JsonObject] = [] if structured["cluster"] is None else structured["cluster"]["nodes"]
    return paragraphs(
        [
            f"Ratchet {structured['version']} is {structured['status']}.",
            *(f"- {clip(one, 300)}" for one in structured["problems"]),
            None
            if queue is None
            else f"Queue: {queue['queued']} of {queue['limit']} waiting, {queue['running']} running, "
            f"{queue['input_required']} waiting for an answer of their callers, "
            f"{queue['slots_busy']} of {queue['slots']} slots busy.",
            *(
                f"{one['name']}: {one['liveness']}{', draining' if one['draining'] else ''}"
                for one in structured["actors"]
            ),
            *(_node_line(one) for one in nodes),
            *(f"{one['path']}: {one['rows']} rows, {one['bytes']} bytes" for one in structured["stores"]),
            "Drops and refusals: " + ", ".join(f"{name} {count}" for name, count in counters.items())
            if counters
            else "Nothing was dropped.",
        ]
    )


def _node_line(node: JsonObject) -> str:
    away = "" if node["connected"] else "not "
    busy = f"{node['slots_busy']} of {node['slots']} slots busy"
    return f"node {node['name']}: {node['status']}, {away}connected, {busy}"
