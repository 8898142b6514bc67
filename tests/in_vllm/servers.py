"""Real servers for tests: vLLM's, in processes of their own, on ports that were free, and always ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai

EXAMPLES = Path(__file__).parents[2] / "examples" / "vllm"
_SECONDS = 300  # for a start, on a machine that does other things


class Server:
    """One that is up. log : the file that it writes what it has to say to."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self.log = url, log
        self.client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120)

    def chat(self, prompt: str = "Describe a person as JSON:", **options: Any) -> Any:
        """The first choice."""
        options = {"max_tokens": 100, "seed": 1} | options
        return self.client.chat.completions.create(model="box", messages=_said(prompt), **options).choices[0]

    def streamed(self, prompt: str = "Describe a person as JSON:", **options: Any) -> Streamed:
        """The same, put together from its pieces."""
        options = {"max_tokens": 100, "seed": 1} | options
        found = Streamed()
        for event in self.client.chat.completions.create(
            model="box", messages=_said(prompt), stream=True, **options
        ):
            found.add(event.choices[0])
        return found

    def is_up(self) -> bool:
        """Whether it says that it is well."""
        try:
            with urllib.request.urlopen(self.url.replace("/v1", "/health"), timeout=10) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


class Streamed:
    """What came in pieces. calls : [name, arguments] of the tools, in order."""

    def __init__(self) -> None:
        self.content = self.reasoning = ""
        self.pieces = 0
        self.finish_reason: str | None = None
        self.calls: list[list[str]] = []

    def add(self, choice: Any) -> None:
        delta = choice.delta
        self.pieces += 1
        self.content += delta.content or ""
        self.reasoning += getattr(delta, "reasoning", None) or ""
        self.finish_reason = choice.finish_reason or self.finish_reason
        for call in delta.tool_calls or ():
            while len(self.calls) <= call.index:
                self.calls.append(["", ""])
            self.calls[call.index][0] += call.function.name or ""
            self.calls[call.index][1] += call.function.arguments or ""


def _said(prompt: str) -> Any:
    return [{"role": "user", "content": prompt}]


@contextmanager
def serving(command: Sequence[str], log: Path) -> Iterator[Server]:
    """A server that a command starts, to which its port is added. Fails, with the end of the log, if it does not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "VLLM_PLUGINS": "bridle", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*command, "--host=127.0.0.1", f"--port={port}"],
            stdout=written, stderr=subprocess.STDOUT, env={**os.environ, **environment}, start_new_session=True,
        )  # fmt: skip
    try:
        server = Server(f"http://127.0.0.1:{port}/v1", log)
        until = time.monotonic() + _SECONDS
        while not server.is_up():
            assert process.poll() is None and time.monotonic() < until, _end_of(log)
            time.sleep(0.5)
        yield server
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a server and all processes that it has started."""
    for asked in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, asked)
            process.wait(30)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _end_of(log: Path) -> str:
    return "the server did not start:\n" + log.read_text(errors="replace")[-4000:]
