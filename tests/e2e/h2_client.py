#!/usr/bin/env python3
"""gRPC calls by hand over HTTP/2: what grpcio would refuse to send, from whom the kernel says that it is.

As a program it reads {"uid", "gid", "groups", "calls"} from stdin, becomes that user, makes the calls, one connection
each, and prints their outcomes, so that a test can be many users without being any of them.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import urllib.parse
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions

PERMISSION_DENIED = 7


@dataclass
class Call:
    socket: str
    path: str
    metadata: list[tuple[str, str]] = field(default_factory=list)
    message: str = ""  # of the one request, in base64
    authority: str = "localhost"
    method: str = "POST"
    first_message_only: bool = False  # of a stream that goes on
    timeout: float = 10.0
    connect_in_child: bool = False  # by a process that is gone when the call is made


@dataclass
class Outcome:
    code: int | None = None  # gRPC's; None: there was no answer
    message: str = ""
    details: str = ""  # grpc-status-details-bin as it came
    messages: list[str] = field(default_factory=list)  # of the answer, in base64
    http_status: str = ""
    ended: str = ""  # how, when there was no answer

    @property
    def denied(self) -> bool:
        return self.code == PERMISSION_DENIED


def connect(call: Call) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(call.timeout)
    if call.connect_in_child:
        child = os.fork()
        if child == 0:
            peer.connect(call.socket)
            os._exit(0)
        os.waitpid(child, 0)
    else:
        peer.connect(call.socket)
    return peer


def perform(call: Call) -> Outcome:
    outcome = Outcome()
    try:
        with connect(call) as peer:
            _exchange(peer, call, outcome)
    except (OSError, h2.exceptions.ProtocolError) as error:
        outcome.ended = f"{type(error).__name__}: {error}"
    return outcome


def _exchange(peer: socket.socket, call: Call, outcome: Outcome) -> None:
    connection = h2.connection.H2Connection(
        h2.config.H2Configuration(
            client_side=True,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            header_encoding="utf-8",
        )
    )
    connection.initiate_connection()
    headers = [(":method", call.method), (":scheme", "http"), (":path", call.path)]
    headers += [(":authority", call.authority)] if call.authority else []
    headers += [("content-type", "application/grpc"), ("te", "trailers"), *call.metadata]
    connection.send_headers(1, headers)
    body = base64.b64decode(call.message)
    connection.send_data(1, b"\0" + len(body).to_bytes(4, "big") + body, end_stream=True)
    peer.sendall(connection.data_to_send())
    data = b""
    while True:
        received = peer.recv(65536)
        if not received:
            outcome.ended = outcome.ended or "the connection was closed"
            return
        for event in connection.receive_data(received):
            if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                _read_headers(dict(event.headers), outcome)
            elif isinstance(event, h2.events.DataReceived):
                data += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, 1)
                while len(data) >= 5 and len(data) >= 5 + (n := int.from_bytes(data[1:5], "big")):
                    outcome.messages.append(base64.b64encode(data[5 : 5 + n]).decode())
                    data = data[5 + n :]
                if call.first_message_only and outcome.messages:
                    outcome.code = 0
                    return
            elif isinstance(event, h2.events.StreamReset):
                outcome.ended = f"reset with {event.error_code}"
                return
            elif isinstance(event, h2.events.ConnectionTerminated):
                outcome.ended = f"GOAWAY with {event.error_code}"
            elif isinstance(event, h2.events.StreamEnded):
                return
        peer.sendall(connection.data_to_send())


def _read_headers(headers: dict[str, str], outcome: Outcome) -> None:
    outcome.http_status = headers.get(":status", outcome.http_status)
    if "grpc-status" in headers:
        outcome.code = int(headers["grpc-status"])
        outcome.message = urllib.parse.unquote(headers.get("grpc-message", ""))
        outcome.details = headers.get("grpc-status-details-bin", "")


@dataclass(frozen=True)
class User:
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def perform(self, calls: list[Call]) -> list[Outcome]:
        """As this user, in a process of its own."""
        order = {"uid": self.uid, "gid": self.gid, "groups": self.groups}
        done = subprocess.run(
            [sys.executable, "-B", str(Path(__file__).resolve())],
            input=json.dumps({**order, "calls": [asdict(call) for call in calls]}),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=120,
        )
        return [Outcome(**one) for one in json.loads(done.stdout)]


def main() -> None:
    order: dict[str, Any] = json.load(sys.stdin)
    os.setgroups(order["groups"])
    os.setgid(order["gid"])
    os.setuid(order["uid"])
    outcomes = [perform(Call(**call)) for call in order["calls"]]
    json.dump([asdict(one) for one in outcomes], sys.stdout)


if __name__ == "__main__":
    main()
