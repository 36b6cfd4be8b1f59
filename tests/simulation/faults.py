"""What goes wrong in a simulated world."""

from tests.simulation.world import ACTORS, LOGS, RUNNER, SPANS, WORKERS, World

_KINDS = {
    "kill": 6,
    "drain": 2,
    "stop": 3,
    "sever": 2,
    "part": 2,
    "loss": 2,
    "repeats": 2,
    "slow network": 1,
    "kill child": 3,
    "kill zygote": 1,
    "full disk": 2,
    "slow disk": 1,
    "stand still": 1,
    "set clock": 1,
    "edit": 1,
}


class Faults:
    """Breaks things, and mends them after a while."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance
        # Each schedule has its own few kinds of trouble: together they would hide one another.
        kinds = sorted(_KINDS)
        self._kinds = [kind for kind in kinds if self._chance.random() < 0.35] or [self._chance.choice(kinds)]

    def strike(self) -> None:
        """One thing goes wrong."""
        weights = [_KINDS[kind] for kind in self._kinds]
        kind = self._chance.choices(self._kinds, weights)[0]
        getattr(self, "_" + kind.replace(" ", "_"))()

    def heal(self) -> None:
        """Nothing is wrong any more."""
        world = self._world
        world.machine.note("everything is mended")
        world.network.heal()
        world.disk.full.clear()
        world.disk.slow.clear()
        for name, host in world.hosts.items():
            world.loop.go_on(host.process)
            self._mend(name)

    def _note(self, what: str) -> None:
        self._world.machine.note(what)

    def _while(self) -> float:
        return self._chance.choice([0.05, 0.5, 2.0, 5.0, 12.0, 35.0])

    def _kill(self) -> None:
        self._world.kill(self._chance.choice([RUNNER, RUNNER, *ACTORS]))

    def _drain(self) -> None:
        self._world.drain(self._chance.choice([RUNNER, LOGS, SPANS, *WORKERS]))

    def _stop(self) -> None:
        host = self._world.hosts.get(self._chance.choice(ACTORS))
        if host is not None and host.process.runs:
            seconds = self._while()
            self._note(f"{host.process.name} is stopped for {seconds} s")
            self._world.truth.unheard = True
            self._world.loop.halt(host.process)
            self._world.loop.call_later(seconds, self._world.loop.go_on, host.process)

    def _sever(self) -> None:
        name = self._chance.choice(ACTORS)
        link = self._world.link_of(name)
        if link is not None:
            seconds = self._while()
            self._note(f"{name} loses its connection for {seconds} s")
            self._world.truth.unheard = True
            self._world.network.sever(link)
            self._world.loop.call_later(seconds, self._mend, name)

    def _mend(self, name: str) -> None:
        link = self._world.link_of(name)
        if link is not None and self._world.hosts[name].process.alive:
            self._world.network.mend(link)

    def _part(self) -> None:
        name = self._chance.choice(ACTORS)
        self._note(f"{name} is parted")
        self._world.truth.unheard = True
        self._world.network.parted.add(name)
        self._world.loop.call_later(self._while(), self._world.network.heal)

    def _loss(self) -> None:
        self._note("frames are lost")
        self._world.truth.unheard = True
        self._world.network.loss = self._chance.choice([0.01, 0.1, 0.3])
        self._world.loop.call_later(self._while(), self._world.network.heal)

    def _repeats(self) -> None:
        self._note("frames come twice")
        self._world.network.repeats = 0.3

    def _slow_network(self) -> None:
        self._note("the network is slow")
        self._world.network.slow = True
        self._world.loop.call_later(self._while(), self._world.network.heal)

    def _kill_child(self) -> None:
        children = sorted(self._world.machine.children, key=lambda child: child.pid)
        if children:
            child = self._chance.choice(children)
            self._note(f"{child.process.name} is killed")
            child.die(9, None)

    def _kill_zygote(self) -> None:
        zygotes = [one for one in self._world.machine.zygotes.values() if one.alive]
        if zygotes:
            zygote = self._chance.choice(zygotes)
            self._note(f"the zygote of {zygote.worker} is killed")
            self._world.truth.zygote_ends.add(zygote.worker)
            zygote.die()

    def _full_disk(self) -> None:
        store = self._chance.choice(["executions", "logs", "spans"])
        seconds = self._while()
        self._note(f"the disk of {store} is full for {seconds} s")
        self._world.disk.full.add(store)
        self._world.loop.call_later(seconds, self._world.disk.full.discard, store)

    def _slow_disk(self) -> None:
        store = self._chance.choice(["executions", "logs", "spans"])
        self._note(f"the disk of {store} is slow")
        self._world.disk.slow.add(store)
        self._world.loop.call_later(self._while(), self._world.disk.slow.discard, store)

    def _stand_still(self) -> None:
        seconds = self._while()
        self._note(f"the machine sleeps for {seconds} s")
        self._world.truth.unheard = True
        self._world.loop.stand_still(seconds)

    def _set_clock(self) -> None:
        seconds = self._chance.choice([-3600.0, -5.0, 5.0, 3600.0])
        self._note(f"the wall clock is set by {seconds} s")
        self._world.truth.clock_set = True
        self._world.loop.wall_offset += seconds

    def _edit(self) -> None:
        self._note("the task file is edited")
        self._world.machine.edit()
