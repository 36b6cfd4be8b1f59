"""A server that speaks OpenAI's protocol on a real socket, and fails in every way that a test asks for."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class FakeProvider:
    """What it answers is taken from `answers`, one a request; the last one is given again and again.

    Attributes:
        port: On 127.0.0.1.
        answers: Text to answer, or the name of a failure: see `_answer`.
        requests: The body of every request so far.
        keys: The Authorization header of every request so far.
        hung_up: Set once a client gave up a request that hangs.
    """

    port: int = 0
    answers: list[str] = field(default_factory=lambda: ["Hello."])
    requests: list[Json] = field(default_factory=list[Json])
    keys: list[str] = field(default_factory=list[str])
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(head.split("content-length:")[1].split()[0])
                self.keys.append(head.split("authorization:")[1].split("\r\n")[0].strip())
                self.requests.append(json.loads(await reader.readexactly(length)))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if not await self._answer(answer, reader, writer):
                    break
        self._writers.discard(writer)
        writer.close()

    def close(self) -> None:
        for writer in tuple(self._writers):
            writer.close()

    async def _answer(self, answer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        match answer.split():
            case ["STATUS", status, *headers]:
                error = json.dumps({"error": {"message": f"as asked: {status}", "code": None, "type": "t"}})
                writer.write(_response(int(status), error, *headers))
            case ["HANG"]:
                await reader.read(1)
                self.hung_up.set()
                return False
            case ["CUT"]:
                writer.write(_response(200, _completion("half"))[:-20])
                await writer.drain()
                return False
            case ["NOT-JSON"]:
                writer.write(_response(200, "<html>It works!</html>"))
            case ["NO-CHOICES"]:
                writer.write(_response(200, json.dumps({"id": "x", "choices": []})))
            case ["FILTERED"]:
                writer.write(_response(200, _completion("", finish_reason="content_filter")))
            case ["SHOW-KEY"]:
                writer.write(_response(401, json.dumps({"error": {"message": f"bad key {self.keys[-1]}"}})))
            case _:
                if self.requests[-1].get("stream"):
                    return await _stream(answer, reader, writer)
                writer.write(_response(200, _completion(answer)))
        await writer.drain()
        return True


def _completion(text: str, finish_reason: str = "stop") -> str:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return json.dumps({"id": "1", "object": "chat.completion", "model": "fake-1", "choices": [choice], "usage": usage})


async def _stream(answer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Words as events; after BREAK the connection ends, after WAIT nothing more comes."""
    writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    for word in answer.split(" "):
        if word == "BREAK":
            return False
        if word == "WAIT":
            await writer.drain()
            await reader.read(1)
            return False
        writer.write(_event({"choices": [{"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}]}))
        await writer.drain()
    writer.write(_event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
    writer.write(_event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}))
    writer.write(b"data: [DONE]\n\n")
    await writer.drain()
    return False


def _event(data: Json) -> bytes:
    chunk = {"id": "1", "object": "chat.completion.chunk", "model": "fake-1", **data}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _response(status: int, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@asynccontextmanager
async def fake_provider(*answers: str) -> AsyncGenerator[FakeProvider]:
    """A provider that gives these answers, as long as the block lasts."""
    provider = FakeProvider()
    if answers:
        provider.answers = list(answers)
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.port = server.sockets[0].getsockname()[1]
    try:
        yield provider
    finally:
        server.close()
        provider.close()
