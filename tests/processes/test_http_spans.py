"""HTTP requests of a task as spans, from every library: what they say, what they hide, and that nothing is twice."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.processes.zygote_harness import ChildHandle, Run, ZygoteHandle, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc are Linux's")

REFUSED = "http://127.0.0.1:9/"

# Each `get` makes one GET request and returns the status; all are the same to a task.
LIBRARIES = {
    "urllib": """
        import urllib.error, urllib.request

        async def get(url):
            try:
                with urllib.request.urlopen(url) as answer:
                    answer.read()
                    return answer.status
            except urllib.error.HTTPError as error:
                error.read()
                error.close()
                return error.code
    """,
    "http.client": """
        import http.client
        from urllib.parse import urlsplit

        async def get(url):
            parts = urlsplit(url)
            connection = http.client.HTTPConnection(parts.hostname, parts.port)
            try:
                connection.request("GET", parts.path + ("?" + parts.query if parts.query else ""))
                answer = connection.getresponse()
                answer.read()
                return answer.status
            finally:
                connection.close()
    """,
    "requests": """
        import requests

        async def get(url):
            return requests.get(url).status_code
    """,
    "urllib3": """
        import urllib3

        async def get(url):
            with urllib3.PoolManager(retries=False) as pool:
                return pool.request("GET", url).status
    """,
    "httpx": """
        import httpx

        async def get(url):
            with httpx.Client(trust_env=False) as client:
                return client.get(url).status_code
    """,
    "httpx async": """
        import httpx

        async def get(url):
            async with httpx.AsyncClient(trust_env=False) as client:
                return (await client.get(url)).status_code
    """,
    "httpx2": """
        import httpx2

        async def get(url):
            with httpx2.Client(trust_env=False) as client:
                return client.get(url).status_code
    """,
    "httpx2 async": """
        import httpx2

        async def get(url):
            async with httpx2.AsyncClient(trust_env=False) as client:
                return (await client.get(url)).status_code
    """,
    "aiohttp": """
        import aiohttp

        async def get(url):
            async with aiohttp.ClientSession() as session:
                async with session.get(url) as answer:
                    await answer.read()
                    return answer.status
    """,
}

TASKS = """
        import asyncio

        @task
        async def fetch(url: str, ctx: Context) -> int:
            with ctx.span("around"):
                return await get(url)

        @task
        async def fetch_many(urls: list[str], ctx: Context) -> list[int]:
            async def one(url: str) -> int:
                with ctx.span(url.rpartition("/")[2]):
                    return await get(url)
            return await asyncio.gather(*map(one, urls))
"""


class Answers(BaseHTTPRequestHandler):
    """`/status/503` answers with that; `/moved` leads to /; everything else is well."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        code = 302 if path == "/moved" else int(path.rpartition("/")[2]) if path.startswith("/status/") else 200
        body = b"" if self.command == "HEAD" else b"hello"
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_HEAD = _answer  # noqa: N815 - their names there

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Says nothing of clients that are gone."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with Server(("127.0.0.1", 0), Answers) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteHandle]:
    handle = ZygoteHandle()
    yield handle
    assert handle.close() == 0


class Runner:
    """Runs tasks, all of one file in one child."""

    def __init__(self, zygote: ZygoteHandle, folder: Path) -> None:
        self._zygote = zygote
        self._folder = folder
        self._children: dict[str, tuple[ChildHandle, dict[str, Any]]] = {}

    def child(self, text: str) -> tuple[ChildHandle, dict[str, Any]]:
        """The child for a file with this text, and what the file defines."""
        if text not in self._children:
            path = write(self._folder, f"tasks_{len(self._children)}.py", text)
            describing = self._zygote.fork()
            described = describing.describe(path)
            describing.peer.close()  # it ends: dozens of them would be large together
            self._children[text] = self._zygote.fork(), described
        return self._children[text]

    def __call__(self, text: str, task_id: str, given: dict[str, Any] | None = None, **changes: Any) -> Run:
        child, described = self.child(text)
        return child.run(described, task_id, given, **changes)


@pytest.fixture(scope="module")
def run(zygote: ZygoteHandle, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(zygote, tmp_path_factory.mktemp("tasks"))


def clients(run: Run) -> list[dict[str, Any]]:
    return [span for span in run.of("span") if span["kind"] == "client"]


def named(run: Run, name: str) -> dict[str, Any]:
    (found,) = [span for span in run.of("span") if span["name"] == name]
    return found


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_request_is_one_span_below_the_span_it_is_made_in(run: Runner, server: str, library: str) -> None:
    done = run(LIBRARIES[library] + TASKS, "fetch", {"url": f"{server}/data?rows=3"})
    assert done.output == 200
    (span,) = clients(done)
    port = int(server.rpartition(":")[2])
    assert (span["name"], span["status"]) == (f"GET 127.0.0.1:{port}", "ok")
    assert span["parent_id"] == named(done, "around")["span_id"]
    attributes = span["attributes"]
    assert 0 < attributes.pop("ratchet.http.connect_ms") <= (span["end_ns"] - span["start_ns"]) / 1e6
    assert attributes == {
        "http.request.method": "GET",
        "url.full": f"{server}/data?rows=3",
        "server.address": "127.0.0.1",
        "server.port": port,
        "http.response.status_code": 200,
        "http.response.body.size": 5,
    }
    around = named(done, "around")
    assert around["start_ns"] <= span["start_ns"] <= span["end_ns"] <= around["end_ns"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_answer_that_is_an_error_makes_the_span_one(run: Runner, server: str, library: str) -> None:
    done = run(LIBRARIES[library] + TASKS, "fetch", {"url": f"{server}/status/503"})
    assert done.output == 503
    (span,) = clients(done)
    assert (span["status"], span["status_message"]) == ("error", "HTTP 503")
    assert span["attributes"]["http.response.status_code"] == 503
    assert span["attributes"]["error.type"] == "503"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_connection_that_is_refused_is_a_failed_span_and_the_same_exception(run: Runner, library: str) -> None:
    done = run(LIBRARIES[library] + TASKS, "fetch", {"url": REFUSED})
    assert "Error" in done.failure["type"]
    (span,) = clients(done)
    assert span["status"] == "error"
    assert "Error" in span["status_message"]
    assert span["attributes"]["error.type"].rpartition(".")[2] in span["status_message"]
    assert "http.response.status_code" not in span["attributes"]
    assert not any("http_spans" in frame["file"] for one in done.failure["chain"] for frame in one["frames"])


@pytest.mark.parametrize("library", LIBRARIES)
def test_secrets_in_a_url_are_not_shown(run: Runner, server: str, library: str) -> None:
    url = server.replace("//", "//ada:hunter2@") + "/data?api_key=hunter2&page=2&X-Amz-Signature=hunter2#hunter2"
    if library in ("urllib", "http.client"):  # they do not understand a user in a URL
        url = url.replace("ada:hunter2@", "")
    done = run(LIBRARIES[library] + TASKS, "fetch", {"url": url})
    (span,) = clients(done)
    assert span["attributes"]["url.full"] == f"{server}/data?api_key=[redacted]&page=2&X-Amz-Signature=[redacted]"
    assert "hunter2" not in str(span)


@pytest.mark.parametrize("library", ["requests", "httpx", "httpx2 async", "aiohttp"])
def test_secrets_are_not_shown_in_errors(run: Runner, library: str) -> None:
    done = run(LIBRARIES[library] + TASKS, "fetch", {"url": f"{REFUSED}?access_token=hunter2"})
    (span,) = clients(done)
    assert "hunter2" not in str(span)


@pytest.mark.parametrize("library", ["httpx async", "httpx2 async", "aiohttp"])
def test_concurrent_requests_hang_below_their_own_spans(run: Runner, server: str, library: str) -> None:
    paths = [f"{number}" for number in range(20)]
    done = run(LIBRARIES[library] + TASKS, "fetch-many", {"urls": [f"{server}/{path}" for path in paths]})
    assert done.output == [200] * 20
    parents = {span["parent_id"]: span["attributes"]["url.full"] for span in clients(done)}
    assert parents == {named(done, path)["span_id"]: f"{server}/{path}" for path in paths}


def test_requests_in_threads_hang_below_the_span_that_gave_them_to_the_threads(run: Runner, server: str) -> None:
    done = run(
        """
        from concurrent.futures import ThreadPoolExecutor
        import requests

        @task
        def fetch(url: str, ctx: Context) -> list[int]:
            with ctx.span("around"), ThreadPoolExecutor(4) as pool:
                return [answer.status_code for answer in pool.map(requests.get, [url] * 8)]
        """,
        "fetch",
        {"url": server},
    )
    assert done.output == [200] * 8
    assert [span["parent_id"] for span in clients(done)] == [named(done, "around")["span_id"]] * 8


@pytest.mark.parametrize(
    ("library", "statuses"), [("requests", [302, 200]), ("urllib", [302, 200]), ("aiohttp", [200])]
)
def test_redirects_are_what_the_library_makes_of_them(
    run: Runner, server: str, library: str, statuses: list[int]
) -> None:
    done = run(LIBRARIES[library] + TASKS, "fetch", {"url": f"{server}/moved"})
    assert [span["attributes"]["http.response.status_code"] for span in clients(done)] == statuses
    assert clients(done)[0]["attributes"]["url.full"] == f"{server}/moved"
    if library == "aiohttp":
        assert clients(done)[0]["attributes"]["http.request.resend_count"] == 1


def test_a_connection_that_is_used_again_was_connected_once(run: Runner, server: str) -> None:
    done = run(
        """
        import http.client, httpx, requests

        @task
        def fetch(host: str, url: str) -> None:
            connection = http.client.HTTPConnection(host)
            for path in "ab":
                connection.request("GET", f"/{path}")
                connection.getresponse().read()
            connection.close()
            with requests.Session() as session, httpx.Client(trust_env=False) as client:
                for path in "ab":
                    session.get(f"{url}/{path}")
                for path in "ab":
                    client.get(f"{url}/{path}")
        """,
        "fetch",
        {"host": urlsplit(server).netloc, "url": server},
    )
    assert ["ratchet.http.connect_ms" in span["attributes"] for span in clients(done)] == [True, False] * 3


def test_without_trace_requests_leave_no_spans(run: Runner, server: str) -> None:
    for library in ("requests", "httpx async", "aiohttp"):
        done = run(LIBRARIES[library] + TASKS, "fetch", {"url": server}, trace=False)
        assert done.output == 200
        assert [span["name"] for span in done.of("span")] == ["fetch"]


def test_requests_made_while_the_file_is_loaded_are_nobodys(run: Runner, server: str) -> None:
    done = run(
        f"""
        import urllib.request
        urllib.request.urlopen("{server}").read()

        @task
        def nothing() -> None:
            pass
        """,
        "nothing",
    )
    assert [span["name"] for span in done.of("span")] == ["nothing"]


def test_libraries_that_a_task_does_not_import_are_not_imported(run: Runner) -> None:
    done = run(
        """
        import sys

        @task
        def loaded() -> list[str]:
            return [name for name in ("http.client", "urllib3", "httpx", "httpx2", "aiohttp") if name in sys.modules]
        """,
        "loaded",
    )
    assert done.output == []


def test_a_library_that_is_imported_in_the_middle_of_a_run_is_recorded_too(run: Runner, server: str) -> None:
    done = run(
        """
        @task
        def fetch(url: str) -> str:
            import httpx
            httpx.get(url, trust_env=False)
            return type(httpx.__spec__.loader).__name__ + " " + type(httpx).__name__
        """,
        "fetch",
        {"url": server},
    )
    assert done.output == "SourceFileLoader module"
    assert [span["name"] for span in clients(done)] == [f"GET {urlsplit(server).netloc}"]


def test_transports_that_use_no_network_are_not_recorded(run: Runner) -> None:
    done = run(
        """
        import httpx

        @task
        def fetch() -> int:
            transport = httpx.MockTransport(lambda request: httpx.Response(204))
            return httpx.Client(transport=transport).get("http://nowhere/").status_code
        """,
        "fetch",
    )
    assert done.output == 204
    assert clients(done) == []


def test_an_authors_own_trace_extension_keeps_working_and_none_is_left_behind(run: Runner, server: str) -> None:
    done = run(
        """
        import httpx

        @task
        def fetch(url: str) -> list:
            seen = []
            with httpx.Client(trust_env=False) as client:
                client.get(url, extensions={"trace": lambda event, info: seen.append(event)})
                request = client.build_request("GET", url)
                client.send(request)
            return [len(seen) > 3, "trace" in request.extensions]
        """,
        "fetch",
        {"url": server},
    )
    assert done.output == [True, False]
    assert len(clients(done)) == 2


def test_an_answer_that_nobody_waits_for_is_a_failed_span(run: Runner, server: str) -> None:
    done = run(
        """
        import http.client

        @task
        def leave(host: str) -> None:
            connection = http.client.HTTPConnection(host)
            connection.request("HEAD", "/")
            connection.close()
        """,
        "leave",
        {"host": urlsplit(server).netloc},
    )
    (span,) = clients(done)
    assert span["name"].startswith("HEAD ")
    assert "closed before the answer came" in span["status_message"]


def test_methods_and_unreachable_servers_behind_tls_are_recorded(run: Runner, server: str) -> None:
    done = run(
        """
        import requests

        @task
        def fetch(url: str) -> str:
            requests.post(url, data=b"x")
            requests.request("BREW", url)
            try:
                requests.get("https://127.0.0.1:9/")
            except requests.ConnectionError as error:
                return type(error).__name__
        """,
        "fetch",
        {"url": server},
    )
    assert done.output == "ConnectionError"
    posted, brewed, refused = clients(done)
    assert posted["attributes"]["http.request.method"] == "POST"
    assert brewed["attributes"]["http.request.method_original"] == "BREW"
    assert (brewed["name"].split()[0], brewed["attributes"]["http.request.method"]) == ("HTTP", "_OTHER")
    assert (brewed["status_message"], refused["attributes"]["url.full"]) == ("HTTP 501", "https://127.0.0.1:9/")
    assert refused["status"] == "error"


def test_a_cancelled_request_is_a_failed_span(run: Runner) -> None:
    text = """
        import asyncio, httpx

        @task
        async def wait(ctx: Context) -> None:
            async def silent(reader, writer):
                ctx.log("asked")
                await reader.read()
                writer.close()
            async with await asyncio.start_server(silent, "127.0.0.1") as server:
                port = server.sockets[0].getsockname()[1]
                async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
                    await client.get(f"http://127.0.0.1:{port}/")
    """
    child, described = run.child(text)
    execution_id = child.order(described, "wait")
    child.logged("asked")
    child.cancel(execution_id)
    done = child.finish()
    assert done.done["cancelled"]
    (span,) = clients(done)
    assert span["status"] == "error"
    assert span["status_message"].startswith("CancelledError")
