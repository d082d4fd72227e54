"""Runs the commands of a page as somebody would who types them: one shell, from top to bottom, against a server."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from apps.core import dispatch
from apps.routing.tasks import tick
from eml import demo
from tests.conftest import LiveServer
from tests.docs.pages import Block, blocks

DEMO_ADDRESS = "http://127.0.0.1:8000"
SECONDS = 150
_END = "=== end of example ==="


@dataclasses.dataclass(frozen=True)
class Ran:
    block: Block
    output: str
    answer: Block | None
    """The JSON that the page shows right behind the commands."""

    @property
    def sent(self) -> Any:
        return json.loads(self.output)


def run(page: Path, *, server: LiveServer, folder: Path) -> list[Ran]:
    """All `sh` blocks of a page; the demo and its background work are there."""
    demo.create_once()
    chosen = blocks(page, "sh")
    script = "set -euo pipefail\n" + "".join(f"{block.text}\necho\necho '{_END}'\n" for block in chosen)
    outputs = _play(script.replace(DEMO_ADDRESS, server.url), folder=folder)
    assert len(outputs) == len(chosen), (
        f"the example after line {chosen[len(outputs)].line} failed: {outputs[-1:]}"
    )
    answers = {block.line: block for block in blocks(page, "json")}
    return [
        # The fence's end, an empty line, the next one's beginning.
        Ran(block, output, answers.get(_last_line(block) + 4))
        for block, output in zip(chosen, outputs, strict=True)
    ]


def _last_line(block: Block) -> int:
    return block.line + block.text.count("\n")


def _play(script: str, *, folder: Path) -> list[str]:
    """What each block printed; fewer than there are when one failed."""
    environment = os.environ | {"no_proxy": "127.0.0.1"}
    with (folder / "output").open("w+") as output, (folder / "errors").open("w+") as errors:
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, env=environment, stdout=output, stderr=errors
        )
        _work_in_background(shell)
        output.seek(0)
        errors.seek(0)
        *outputs, rest = output.read().split(f"{_END}\n")
        print(errors.read(), rest)
    return outputs


def _work_in_background(shell: subprocess.Popen) -> None:
    """What worker and scheduler do, until the shell is done."""
    until = time.monotonic() + SECONDS
    while shell.poll() is None and time.monotonic() < until:
        dispatch.drain()
        tick()
        time.sleep(0.1)
    shell.kill()
    shell.wait(5)
