"""Plugins in C++, Python, Go and Node call one another through the gateway, each those that it may and no other."""

from __future__ import annotations

import json
from typing import Any

import grpc
import parity_pb2 as pb
import parity_pb2_grpc

from daemon import Daemon
from parity_plugins import LANGUAGES, parity_plugin
from processes import eventually
from settings import SLOWNESS

OK, PERMISSION_DENIED = 0, 7
ECHO = "/parity.v1.Parity/Echo"

# Each may call all others but the one before it in the ring.
FORBIDDEN = {language: LANGUAGES[at - 1] for at, language in enumerate(LANGUAGES)}
ALLOWED = {
    language: [peer for peer in LANGUAGES if peer not in (language, FORBIDDEN[language])]
    for language in LANGUAGES
}


def start(daemon: Daemon) -> None:
    for language in LANGUAGES:
        daemon.plugin(
            language,
            [parity_plugin(language)],
            protocol_versions=[1, 2],
            access={"calls": [f"{peer}/*" for peer in ALLOWED[language]]},
        )
    daemon.start()
    daemon.wait_ready(*LANGUAGES, within=60)


def call_peer(daemon: Daemon, caller: str, peer: str, text: str) -> pb.CallPeerResponse:
    return parity_pb2_grpc.ParityStub(daemon.channel).CallPeer(
        pb.CallPeerRequest(name=peer, text=text),
        metadata=[("plugind-plugin", caller)],
        timeout=10 * SLOWNESS,
    )


def denials(daemon: Daemon, caller: str) -> list[dict[str, Any]]:
    # A line that is just being written may be seen in part.
    whole, _, _ = (daemon.state / "audit.log").read_text().rpartition("\n")
    lines = [json.loads(line) for line in whole.splitlines()]
    return [line for line in lines if line["kind"] == "denied" and line["caller"] == caller]


def test_every_language_calls_the_others_and_the_one_that_it_may_not_is_denied_and_audited(
    daemon: Daemon,
) -> None:
    start(daemon)
    for caller in LANGUAGES:
        for peer in ALLOWED[caller]:
            answer = call_peer(daemon, caller, peer, f"from {caller}")
            assert (answer.code, answer.echo.text) == (OK, f"from {caller}"), (caller, peer, answer)
            assert answer.echo.metadata["plugind-caller"] == f"plugin:{caller}"
            # Which of the ways to trace it goes is whoever began the trace's affair; here it is plugind.
            assert answer.echo.metadata["traceparent"].startswith("00-")
        peer = FORBIDDEN[caller]
        answer = call_peer(daemon, caller, peer, "let me in")
        assert answer.code == PERMISSION_DENIED, (caller, peer, answer)
        for word in (f"plugin:{caller}", peer, ECHO):
            assert word in answer.message
    for caller in LANGUAGES:
        (line,) = eventually(
            lambda: denials(daemon, f"plugin:{caller}"),
            within=5 * SLOWNESS,
            what=f"the denial of {caller} in the audit log",
        )
        assert line["method"] == ECHO
        assert FORBIDDEN[caller] in line.values(), line


def test_a_peer_is_called_again_after_it_has_died(daemon: Daemon) -> None:
    start(daemon)
    for caller in LANGUAGES:
        peer = ALLOWED[caller][0]
        before = daemon.get(peer)
        channel = parity_pb2_grpc.ParityStub(daemon.channel)
        assert call_peer(daemon, caller, peer, "once").code == OK
        try:
            channel.Stop(
                pb.StopRequest(), metadata=[("plugind-plugin", peer)], timeout=10 * SLOWNESS
            )
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
        daemon.wait_state(peer, "STOPPED")
        daemon.ctl("start", peer)
        assert daemon.get(peer).pid != before.pid
        answer = call_peer(daemon, caller, peer, "twice")
        assert (answer.code, answer.echo.text) == (OK, "twice"), (caller, peer, answer)
