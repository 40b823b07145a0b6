#!/usr/bin/env python3
"""How long the service takes to start, from exec until it listens and until /readyz says 200, on a database that is migrated:

    DATABASE_URL=… bench/start/start.py target/release/oncare-live [TIMES]
"""

import os
import socket
import statistics
import subprocess
import sys
import time

BETWEEN = 0.0005
PATIENCE = 10


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def connect(port):
    try:
        return socket.create_connection(("127.0.0.1", port))
    except ConnectionRefusedError:
        return None


def is_ready(port):
    with connect(port) as asked:
        asked.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return asked.recv(64).startswith(b"HTTP/1.0 200")


def measure(program):
    web, ops = free_port(), free_port()
    arguments = [program, "serve", "--log", "warn", "--listen", f"127.0.0.1:{web}", "--ops-listen", f"127.0.0.1:{ops}"]
    begun = time.perf_counter()
    with subprocess.Popen(arguments) as service:
        while not (opened := connect(ops)):
            time.sleep(BETWEEN)
        listens = time.perf_counter() - begun
        opened.close()
        while not (ready := is_ready(ops)) and time.perf_counter() < begun + PATIENCE:
            time.sleep(BETWEEN)
        took = time.perf_counter() - begun
        service.terminate()
    if not ready:
        sys.exit("it does not get ready: see its log")
    return listens * 1_000, took * 1_000


def main():
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    if "DATABASE_URL" not in os.environ:
        sys.exit("DATABASE_URL names a database that is migrated")
    measured = [measure(sys.argv[1]) for _ in range(times)]
    for name, column in zip(("listens", "ready"), zip(*measured)):
        print(f"{name:8} median {statistics.median(column):6.1f} ms, most {max(column):6.1f} ms, of {times}")


main()
