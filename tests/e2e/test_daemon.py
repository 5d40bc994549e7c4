"""plugind's own life: stops, crashes, and whom it lets in."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import Callable

import grpc
import pytest
from health.v1 import health_pb2
from plugind.control.v1 import control_pb2
from reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from daemon import NOBODY, Daemon, State, fault
from examples import add_greeter, call_greeter
from processes import eventually
from settings import SLOWNESS

# ---- The daemon's own life ----


@pytest.mark.parametrize("whom", ["plugind", "plugind-keeper"])
def test_sigterm_to_either_stops_everything_in_order(whom: str, daemon: Daemon) -> None:
    for name in ("one", "two", "three"):
        daemon.plugin(name, fault("good"))
    daemon.start().wait_ready("one", "two", "three")
    info = daemon.info()
    os.kill(info.pid if whom == "plugind" else info.keeper_pid, signal.SIGTERM)
    daemon.wait_ended(code=0)
    assert not daemon.processes()
    assert not daemon.socket.exists()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_is_the_fast_stop(second: signal.Signals, daemon: Daemon) -> None:
    daemon.plugin("stubborn", fault("ignores-sigterm"), stop={"grace": "120s"})
    daemon.start().wait_ready("stubborn")
    watcher = daemon.follow_events(1, "stubborn", 10 * SLOWNESS)
    assert daemon.process
    daemon.process.send_signal(signal.SIGTERM)
    assert any(State.Name(event.to) == "STOPPING" for event in watcher)
    watcher.close()
    began = time.monotonic()
    daemon.process.send_signal(second)
    daemon.wait_ended(code=0)
    assert time.monotonic() - began < 5 * SLOWNESS


def test_a_second_daemon_in_the_same_directory_is_refused(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start()
    pid = daemon.wait_ready("one")["one"].pid
    second = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=20 * SLOWNESS)
    assert second.returncode not in (0, -signal.SIGKILL)
    assert str(daemon.runtime) in second.stderr and "Sanitizer" not in second.stderr, second.stderr
    assert daemon.get("one").pid == pid


def test_a_crash_of_plugind_is_not_noticed_by_its_plugins(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good", "lines=10"))
    daemon.plugin("stopped", fault("good"))
    daemon.start().wait_ready("one", "stopped")
    daemon.change("Stop", "stopped")
    daemon.wait_state("stopped", "STOPPED")
    before, events = daemon.get("one"), daemon.events()
    channel = daemon.plugin_channel("one")
    old = daemon.kill_brain()
    daemon.wait_brain_after(old)
    after = daemon.wait_ready("one")["one"]
    assert (after.pid, after.instance, after.restarts, after.direct_address) == (
        before.pid,
        before.instance,
        before.restarts,
        before.direct_address,
    )
    assert State.Name(daemon.get("stopped").state) == "STOPPED"
    assert (
        channel.unary_unary("/fault.v1.Fault/Echo", None, None)(b"x", timeout=5 * SLOWNESS) == b"x"
    )
    assert daemon.events()[: len(events)] == events
    # Health is watched by the new one as by the old one, and so is death.
    os.kill(after.pid, signal.SIGKILL)
    eventually(lambda: daemon.get("one").restarts == 1, within=10 * SLOWNESS, what="a restart")
    daemon.wait_ready("one")


def test_what_a_killed_keeper_left_behind_is_swept_up_by_the_next_start(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    info = daemon.info()
    if info.cgroup:
        # It has fled from everything that the kernel ends with its parent, but not from its cgroup.
        daemon.plugin("forks", fault("double-forks"))
        daemon.reload()
        daemon.wait_ready("forks")
    else:
        print("no writable cgroup v2: descendants that have fled are the service manager's")
    main = [plugin.pid for plugin in daemon.list().values()]
    fled = {process.pid for process in daemon.processes_of("forks")} - set(main)
    assert bool(fled) == bool(info.cgroup)
    os.kill(info.keeper_pid, signal.SIGKILL)
    daemon.wait_ended(code=-signal.SIGKILL)
    eventually(
        lambda: {process.pid for process in daemon.processes()} <= fled,
        within=1,
        what="only what has fled is left",
    )
    daemon.start().wait_ready("one")
    assert not fled & {process.pid for process in daemon.processes()}
    running = {plugin.instance for plugin in daemon.list().values() if plugin.instance}
    assert set(os.listdir(daemon.runtime / "i")) == running


# ---- Who may do what, health, reflection ----


def test_the_socket_serves_its_owner_and_nobody_else(needs_root: None, daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    # Everybody may knock: the gateway asks the kernel who it is, and answers with what is missing.
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o666
    for path in (daemon.root, daemon.runtime):
        path.chmod(0o755)
    denied = daemon.ctl("status", code=6, uid=NOBODY)
    assert f"uid:{NOBODY}" in denied.stderr and "control.viewers" in denied.stderr
    daemon.ctl("status")


def test_everything_works_unprivileged(
    needs_root: None, make_daemon: Callable[..., Daemon]
) -> None:
    daemon = make_daemon(uid=NOBODY)
    daemon.plugin("one", fault("good"))
    daemon.plugin("forks", fault("double-forks"))
    add_greeter(daemon)
    daemon.start().wait_ready("one", "forks", "greeter")
    assert all(
        Path(f"/proc/{process.pid}").stat().st_uid == NOBODY for process in daemon.processes()
    )
    call_greeter(daemon)
    os.kill(daemon.get("one").pid, signal.SIGKILL)
    eventually(lambda: daemon.get("one").restarts == 1, within=10 * SLOWNESS, what="a restart")
    daemon.wait_brain_after(daemon.kill_brain())
    daemon.wait_ready("one", "forks", "greeter")
    daemon.ctl("status", uid=NOBODY)
    daemon.ctl("stop", "forks", uid=NOBODY)
    assert not daemon.processes_of("forks")


def health(daemon: Daemon, service: str) -> int:
    check = daemon.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return check(health_pb2.HealthCheckRequest(service=service), timeout=5 * SLOWNESS).status


def test_health_has_an_entry_for_each_plugin(daemon: Daemon) -> None:
    daemon.plugin("one", fault("health-flaps"))
    daemon.start()
    pid = daemon.wait_ready("one")["one"].pid
    status = health_pb2.HealthCheckResponse.ServingStatus
    assert health(daemon, "") == status.Value("SERVING") == health(daemon, "one")
    os.kill(pid, signal.SIGUSR1)
    daemon.wait_state("one", "UNREADY")
    assert health(daemon, "one") == status.Value("NOT_SERVING") and health(
        daemon, ""
    ) == status.Value("SERVING")
    with pytest.raises(grpc.RpcError) as unknown:
        health(daemon, "nobody")
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_describes_every_service_on_the_socket(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start()
    stub = reflection_pb2_grpc.ServerReflectionStub(daemon.channel)

    def ask(**question: str) -> reflection_pb2.ServerReflectionResponse:
        return next(
            stub.ServerReflectionInfo(
                iter([reflection_pb2.ServerReflectionRequest(**question)]),
                timeout=5 * SLOWNESS,
                wait_for_ready=True,
            )
        )

    services = {service.name for service in ask(list_services="").list_services_response.service}
    assert {"plugind.control.v1.PluginControl", "grpc.health.v1.Health"} <= services
    for service in services:
        assert ask(
            file_containing_symbol=service
        ).file_descriptor_response.file_descriptor_proto, service


def test_the_socket_survives_whoever_speaks_nonsense(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    for nonsense in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0" * 65536,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
    ):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(daemon.socket))
            stranger.sendall(nonsense)
    daemon.ctl("status")


def test_control_rpc_takes_no_paths_and_no_commands() -> None:
    """The promise of interface.md: it names plugins that the configuration defines, and nothing else."""
    requests = [
        message
        for name, message in control_pb2.DESCRIPTOR.message_types_by_name.items()
        if name.endswith("Request")
    ]
    allowed = {"name", "follow", "tail", "from_sequence"}
    assert requests and {field.name for message in requests for field in message.fields} <= allowed
