"""A mail server that takes everything and keeps nothing but when each Message-ID came, in a process of its own.

It answers whole groups of commands at once (PIPELINING), for a fraction of what a mail costs its sender, so that it is
not what a benchmark measures. Commands come by standard input: `count` and `dump FILE`; answers go to standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import ground

END_OF_TEXT = b"\r\n.\r\n"
ANSWERS = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
arrived: list[tuple[bytes, float]] = []


class Conversation(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._rest, self._in_text = transport, b"", False
        transport.write(b"220 sink\r\n")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._rest += data
        answers = []
        while (answer := self._step()) is not None:
            answers.append(answer)
        self._transport.write(b"".join(answers))  # type: ignore[attr-defined]

    def _step(self) -> bytes | None:
        """The answer to what comes next, if it is all here."""
        if self._in_text:
            return self._end_text()
        line, found, rest = self._rest.partition(b"\r\n")
        if not found:
            return None
        self._rest, verb = rest, line[:4].upper()
        self._in_text = verb == b"DATA"
        return ANSWERS.get(verb, b"250 fine\r\n")

    def _end_text(self) -> bytes | None:
        text, found, rest = self._rest.partition(END_OF_TEXT)
        if not found:
            return None
        self._rest, self._in_text = rest, False
        start = text.index(b"Message-ID: <") + 13
        arrived.append((text[start : text.index(b"@", start)], time.time()))
        return b"250 taken\r\n"


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Conversation, "127.0.0.1", 0, backlog=100)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        if line[0] == "dump":
            Path(line[1]).write_text(json.dumps([(key.decode(), at) for key, at in arrived]))
            arrived.clear()
        print(len(arrived), flush=True)


class Sink:
    """The other end of its pipes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.port = process, int(self._answer(process))

    @staticmethod
    def _answer(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()

    def _ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer(self.process)

    def count(self) -> int:
        return int(self._ask("count"))

    def take(self) -> list[tuple[str, float]]:
        """What came since the last time: key, and when (seconds since 1970)."""
        with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
            self._ask(f"dump {file.name}")
            return [(key, at) for key, at in json.load(file)]


@contextlib.contextmanager
def running() -> Iterator[Sink]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.sink"],
        cwd=ground.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Sink(process)
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    asyncio.run(serve())
