#!/usr/bin/env python3
"""supervisord's event listener: passes on to the harness that it has been told of an exit."""

import os
import socket
import sys
import time


def main() -> None:
    harness = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    harness.connect(os.environ["BENCH_SOCKET"])
    system = os.environ["BENCH_SYSTEM"]
    events = sys.stdin.buffer
    print("READY", flush=True)
    while header := events.readline():
        at = time.monotonic_ns()
        size = int(dict(field.split(":") for field in header.decode().split())["len"])
        body = dict(field.split(":") for field in events.read(size).decode().split())
        harness.send(f"{system} told {body['processname']} {body['pid']} {at}".encode())
        print("RESULT 2\nOKREADY", flush=True)


if __name__ == "__main__":
    main()
