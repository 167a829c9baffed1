"""`python llama_http.py GGUF CONTEXT`: a real llama.cpp HTTP server; prints its address, ends with its stdin."""

from __future__ import annotations

import sys

import xllamacpp


def main() -> None:
    model, context = sys.argv[1:]
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = int(context)
    parameters.n_parallel = 1
    parameters.n_batch = parameters.n_ubatch = 64
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 2
    parameters.endpoint_slots = True
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
