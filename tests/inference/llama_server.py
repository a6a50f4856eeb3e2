"""llama.cpp's own HTTP server, for tests against a foreign endpoint.

    python -m tests.inference.llama_server MODEL

Prints the address on which it listens, and serves until its standard input closes.
"""

from __future__ import annotations

import sys

import xllamacpp


def main(path: str) -> None:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = 2048
    parameters.n_parallel = 2
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
