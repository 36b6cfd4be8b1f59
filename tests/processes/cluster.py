"""A head and its nodes as real processes on this machine, joined by token over CURVE on loopback."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

from ratchet.bodies.common import Empty
from ratchet.bodies.executions import GetExecution, ListExecutions, Submit
from ratchet.bodies.nodes import NodeInfo
from ratchet.cli.connection import connect
from ratchet.execution_ids import new_execution_id
from ratchet.messages import GET_EXECUTION, LIST_EXECUTIONS, LIST_NODES, SUBMIT, Procedure
from ratchet.models import Execution, Model, Source, Status
from tests.harness import ROOT, RunningProject, eventually, folder_project

Json = dict[str, Any]
ResultT = TypeVar("ResultT", bound=Model)

TASKS = {
    "where": """
        import os, time
        from pathlib import Path
        from ratchet import Context, task

        @task
        def where(ctx: Context) -> str:
            '''Say which node this is, by the folder that tasks run in.'''
            ctx.log.info("here")
            with ctx.span("look"):
                return Path.cwd().name

        @task
        def wait_for(ctx: Context, flag: str, out: str) -> str:
            '''Run until a file is there; leave a line of who did.'''
            ctx.log.info("waiting")
            while not Path(flag).exists():
                time.sleep(0.02)
            with open(out, "a") as file:
                file.write(Path.cwd().name + "\\n")
            return Path.cwd().name

        @task
        def below(ctx: Context) -> list[str]:
            '''Run another task.'''
            return [Path.cwd().name, ctx.run("where", {})]
        """
}


def free_port() -> int:
    """A TCP port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """A head that runs nothing itself, and its nodes.

    Attributes:
        head: Its project.
        port: Where nodes connect.
        nodes: Their projects, by name.
        tokens: What they joined with.
    """

    def __init__(self, head: RunningProject, port: int, base: Path) -> None:
        self.head = head
        self.port = port
        self.nodes: dict[str, RunningProject] = {}
        self.tokens: dict[str, str] = {}
        self._base = base
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._runtime_dirs: list[Path] = []

    def cli(self, *arguments: str, project: RunningProject | None = None) -> str:
        """Run a command of the head's (or another project's) and return what it printed."""
        found = project or self.head
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ratchet", *arguments, f"--config={found.config_path}"],
            cwd=found.folder,
            env=found.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stderr}"
        return done.stdout

    def token(self, uses: int = 1) -> str:
        """A join token."""
        return self.cli("node", "token", f"--uses={uses}").strip()

    def node(
        self,
        name: str,
        *,
        tasks: Mapping[str, str] = TASKS,
        port: int | None = None,
    ) -> RunningProject:
        """Make a node's folder and start it; it joins with a token of its own."""
        runtime_dir = Path(tempfile.mkdtemp(prefix="rt-"))
        self._runtime_dirs.append(runtime_dir)
        folder = self._base / name
        folder.mkdir()
        found = self.nodes[name] = RunningProject(folder, runtime_dir, {})
        found.configure({"workers": {"count": 1, "children": 2}, "supervisor": {"drain_seconds": 10}})
        for file, source in tasks.items():
            found.write_task(file, source)
        self.tokens[name] = self.token()
        self.start(name, token=self.tokens[name], port=port)
        return found

    def need(self, name: str, *, port: int | None = None) -> None:
        """Make the node unless there is one."""
        if name not in self.nodes:
            self.node(name, port=port)

    def secret(self, name: str) -> str:
        """A node's secret key."""
        return (self.nodes[name].data_dir / "node.key").read_text().strip()

    def environments(self, name: str) -> str:
        """What the environments of a node's processes hold."""
        family = psutil.Process(self._processes[name].pid)
        return "\n".join(str(one.environ()) for one in [family, *family.children(recursive=True)])

    def start(self, name: str, *, token: str | None = None, port: int | None = None) -> None:
        """Start a node, joining where a token is given, and return when the head knows its workers."""
        self.launch(name, token=token, port=port)
        self.wait_connected(name)

    def launch(self, name: str, *, token: str | None = None, port: int | None = None) -> "subprocess.Popen[bytes]":
        """Start a node's command."""
        found = self.nodes[name]
        environ = dict(found.environ)
        if token is not None:
            environ["RATCHET_JOIN_TOKEN"] = token
        command = [sys.executable, "-P", "-m", "ratchet", "worker", f"--join=tcp://127.0.0.1:{port or self.port}"]
        with (found.folder / "stderr").open("ab") as errors:
            process = subprocess.Popen(
                [*command, f"--name={name}", f"--config={found.config_path}"],
                cwd=found.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        self._processes[name] = process
        return process

    def said(self, name: str) -> str:
        """What a node printed."""
        return (self.nodes[name].folder / "stderr").read_text(errors="replace")

    def ask(self, procedure: Procedure[Any, ResultT], body: Model) -> ResultT:
        """Ask the head's task-runner, as the command line does."""

        async def call() -> ResultT:
            async with connect(self.head.project) as client:
                return await client.call(procedure, body, target="task-runner")

        return asyncio.run(call())

    def info(self, name: str) -> NodeInfo | None:
        """A node as the head sees it."""
        return next((one for one in self.ask(LIST_NODES, Empty()).nodes if one.name == name), None)

    def wait_connected(self, name: str) -> None:
        """Return when the head knows the node's workers."""

        def there() -> bool:
            assert self._processes[name].poll() is None, f"{name} ended: {self.said(name)}"
            found = self.info(name)
            return found is not None and found.connected and found.slots > 0

        eventually(there, f"{name} is connected")

    def wait_ended(self, name: str) -> int:
        """The exit code of a node's supervisor."""
        code = self._processes[name].wait(40)
        del self._processes[name]
        return code

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """End a node and return its exit code."""
        self._processes[name].send_signal(number)
        return self.wait_ended(name)

    def close(self) -> None:
        """End every node."""
        for name in list(self._processes):
            process = self._processes.pop(name)
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for runtime_dir in self._runtime_dirs:
            shutil.rmtree(runtime_dir, ignore_errors=True)

    # --- executions -----------------------------------------------------------------------------------------------

    def submit(self, task_id: str, **task_input: Any) -> str:
        """Accept an execution and return its id."""
        execution_id = new_execution_id()
        body = Submit(execution_id=execution_id, task_id=task_id, input=task_input, source=Source(kind="cli"))
        self.ask(SUBMIT, body)
        return execution_id

    def show(self, execution_id: str) -> Execution:
        """An execution as it is."""
        return self.ask(GET_EXECUTION, GetExecution(execution_id=execution_id))

    def called_by(self, execution_id: str) -> list[Execution]:
        """What an execution called."""
        return self.ask(LIST_EXECUTIONS, ListExecutions(parent_id=execution_id)).executions

    def until(self, execution_id: str, status: Status, *, seconds: float = 30.0) -> Execution:
        """The execution once it has this status."""
        found: list[Execution] = []

        def look() -> bool:
            found[:] = [self.show(execution_id)]
            return found[0].status is status

        eventually(look, f"{execution_id} is {status}, not {found}", seconds=seconds)
        return found[0]

    def until_waiting_for(self, execution_id: str, what: str) -> None:
        """Return when the execution waits and says that it is for that."""
        eventually(lambda: what in (self.show(execution_id).waiting_for or ""), f"it waits for {what}")


@contextmanager
def cluster(base: Path, *, config: Json | None = None) -> Generator[Cluster]:
    """A head that runs, without nodes yet."""
    port = free_port()
    sections: Json = {
        "workers": {"count": 0},
        "cluster": {"listen": f"127.0.0.1:{port}"},
        "mcp": {"server": {"bind_address": "127.0.0.1:0"}},
    }
    for name, section in (config or {}).items():
        sections[name] = {**sections.get(name, {}), **section}
    with folder_project(base / "head", tasks=TASKS, config=sections) as head:
        head.start()
        found = Cluster(head, port, base)
        try:
            yield found
        finally:
            found.close()


class Proxy:
    """What is between a node and its head: passes bytes on, or nothing at all while it is cut."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._process = subprocess.Popen([sys.executable, "-P", __file__, str(self.port), str(target)], cwd=ROOT)

    def cut(self) -> None:
        """Nothing gets through, and nobody is told."""
        self._process.send_signal(signal.SIGSTOP)

    def mend(self) -> None:
        """Everything gets through again, also what waited."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


async def _serve(port: int, target: int) -> None:
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
    os._exit(0)
