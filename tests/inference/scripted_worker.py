"""A worker of a few lines that starts in milliseconds and fails at the step that it is told to.

    python -I -S scripted_worker.py FD FOLDER

`FOLDER/step` names the step; the file is read at each start, so that a test changes it between two starts. It speaks the
protocol of `yearling.inference.wire` without importing the program.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

CAPABILITIES = {
    "token_ids": True, "logprobs": True, "score": True, "embed": True, "adapters": True, "grammar": False,
    "context_tokens": 64, "max_sequences": 4,
}  # fmt: skip


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    step = Path(sys.argv[2], "step").read_text()
    print(f"the step is {step!r}", flush=True)
    # The process must not outlive the server, whatever it does.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    if step == "exits at once":
        os._exit(3)
    if step == "is killed at once":
        os.kill(os.getpid(), signal.SIGKILL)
    lines = connection.makefile("rb")
    if step == "dies unread":
        # Data that nobody read makes the other end see a reset connection.
        os._exit(4)
    lines.readline()
    replies: dict[str, bytes | None] = {
        "dies while opening": None,
        "says nothing": None,
        "sends no JSON": b"Segmentation fault\n",
        "sends a list": b"[1]\n",
        "sends half a line": b'{"ready": {"na',
        "sends another object": b'{"hello": 1}\n',
        "lacks capabilities": b'{"ready": {"name": "scripted", "model_hash": "0"}}\n',
        "reports an unknown capability": _line({"ready": _ready() | {"capabilities": CAPABILITIES | {"flies": True}}}),
        "refuses": _line(
            {
                "error": {
                    "kind": "Untrusted",
                    "message": "The file /secret/folder/a.gguf was changed.",
                    "advice": "",
                    "param": None,
                }
            }
        ),
        "fails in an unknown way": _line({"error": {"kind": "Surprise", "message": "Surprise.", "advice": "", "param": None}}),
    }
    if step in replies:
        reply = replies[step]
        if reply is None:
            if step == "says nothing":
                signal.pause()
            os._exit(5)
        connection.sendall(reply)
        os._exit(6)
    connection.sendall(_line({"ready": _ready()}))
    for line in lines:
        frame = json.loads(line)
        if "call" in frame:
            if step == "dies later":
                os._exit(8)
            if step.endswith("list later"):
                connection.sendall(b"[1]\n" if step == "sends a list later" else b'{"id": [1], "result": 1}\n')
                continue
            if step == "dies while loading an adapter":
                os._exit(7)
            if step == "hangs while loading an adapter":
                signal.pause()
            if step == "refuses an adapter":
                error = {"kind": "Untrusted", "message": "It was changed.", "advice": "", "param": None}
                connection.sendall(_line({"id": frame["id"], "error": error}))
            elif frame["call"] == "load_adapter":
                connection.sendall(_line({"id": frame["id"], "result": "adapter"}))
            else:
                connection.sendall(_line({"id": frame["id"], "result": [[-1.0]]}))
            connection.sendall(_line({"id": frame["id"], "ended": True}))


def _ready() -> dict[str, Any]:
    return {"name": "scripted", "model_hash": "0", "capabilities": CAPABILITIES}


def _line(frame: Any) -> bytes:
    return json.dumps(frame).encode() + b"\n"


if __name__ == "__main__":
    main()
