"""What plugind tells machines: metrics, probes, `pluginctl top`, and ended calls in its log."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import Callable

import grpc
import pytest
from plugind.control.v1 import control_pb2
from prometheus_client.parser import text_string_to_metric_families

from daemon import CHANNEL_OPTIONS, Daemon, State, fault
from processes import eventually
from settings import SLOWNESS

ECHO, NEVER, EXIT = (f"/fault.v1.Fault/{method}" for method in ("Echo", "Never", "Exit"))
PREFIX = 5  # of every message of gRPC
NOT_SERVED = "no metrics and no probes are served; the next reload tries again"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("plugind", timeout=10 * SLOWNESS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Metrics:
    """A page, as Prometheus's own parser reads it."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    def samples(self, name: str, **labels: str) -> list[float]:
        return [
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def total(self, name: str, **labels: str) -> float:
        return sum(self.samples(name, **labels))


def metrics_socket(daemon: Daemon) -> Path:
    return daemon.root / "m.sock"


@pytest.fixture
def watched(daemon: Daemon) -> Daemon:
    daemon.configure(metrics={"listen": f"unix:{metrics_socket(daemon)}"})
    return daemon


def ask(daemon: Daemon, path: str, method: str = "GET") -> tuple[int, str]:
    connection = UnixConnection(metrics_socket(daemon))
    connection.request(method, path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def scrape(daemon: Daemon) -> Metrics:
    status, text = ask(daemon, "/metrics")
    assert status == 200, text
    return Metrics(text)


def through_gateway(daemon: Daemon, name: str) -> grpc.Channel:
    return grpc.insecure_channel(daemon.get(name).address, options=CHANNEL_OPTIONS)


def call(channel: grpc.Channel, method: str, payload: bytes = b"") -> str:
    """Returns the name of the code that it ended with."""
    try:
        channel.unary_unary(method, None, None)(
            payload, metadata=[("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")]
        )
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def log_lines(daemon: Daemon, message: str) -> list[dict]:
    lines = [json.loads(line) for line in daemon.errors.read_text().splitlines() if line[0] == "{"]
    return [line for line in lines if line["message"] == message]


def serving_on(daemon: Daemon) -> str:
    return log_lines(daemon, "metrics and probes are served")[-1]["listen"]


# ---- Metrics ----


def test_the_sums_are_those_of_the_calls_that_were_made(watched: Daemon) -> None:
    for name in ("one", "two"):
        # The deadline is the gateway's own: with one of its own the caller hangs up as it passes.
        watched.plugin(name, fault("good"), backoff={"initial": "20ms"}, call={"timeout": "2s"})
    watched.start().wait_ready("one", "two")
    sizes = {"one": [0, 1, 1000] * 7, "two": [70_000] * 3}
    for name, payloads in sizes.items():
        with through_gateway(watched, name) as channel:
            assert [call(channel, ECHO, b"x" * size) for size in payloads] == ["OK"] * len(payloads)
    with through_gateway(watched, "one") as channel:
        assert call(channel, "/fault.v1.Fault/NoSuchMethod") == "UNIMPLEMENTED"
        assert call(channel, NEVER) == "DEADLINE_EXCEEDED"
        assert call(channel, EXIT) == "UNAVAILABLE"
        assert call(channel, '/odd"/path') != "OK"
    with grpc.insecure_channel(f"unix:{watched.socket}", options=CHANNEL_OPTIONS) as front:
        chosen = [("plugind-plugin", "two")]
        front.unary_unary(ECHO, None, None)(b"!", timeout=5 * SLOWNESS, metadata=chosen)
    sizes["two"].append(1)

    page = scrape(watched)
    for name, payloads in sizes.items():
        of = {"plugin": name, "method": ECHO, "caller": "user"}
        assert page.samples("plugind_calls_total", **of, outcome="ok") == [len(payloads)]
        bytes_each_way = sum(payloads) + PREFIX * len(payloads)
        for direction in ("request", "response"):
            sent = page.samples("plugind_call_bytes_total", **of, direction=direction)
            assert sent == [bytes_each_way]
        assert page.samples("plugind_call_duration_seconds_count", **of) == [len(payloads)]
        every = page.samples("plugind_call_duration_seconds_bucket", **of, le="+Inf")
        assert every == [len(payloads)]
    outcomes = Counter()
    for sample in page.families["plugind_calls"].samples:
        if sample.labels["plugin"] == "one" and sample.value:
            outcomes[sample.labels["outcome"]] += int(sample.value)
    assert outcomes == {
        "ok": len(sizes["one"]),
        "error": 1,
        "deadline": 1,
        "unavailable_maybe_executed": 1,
    }
    assert page.samples("plugind_calls_total", plugin="", outcome="rejected") == [1]
    for name in ("one", "two", "plugind", ""):
        started = page.total("plugind_calls_started_total", plugin=name)
        ended = page.total("plugind_calls_total", plugin=name)
        assert started - ended == page.total("plugind_calls_in_flight", plugin=name) == 0
        assert ended == page.total("plugind_call_duration_seconds_count", plugin=name)


def test_a_call_in_flight_is_one(watched: Daemon) -> None:
    watched.plugin("one", fault("good"))
    watched.start().wait_ready("one")
    with through_gateway(watched, "one") as channel:
        pending = channel.unary_unary(NEVER, None, None).future(b"", timeout=60 * SLOWNESS)
        eventually(
            lambda: scrape(watched).total("plugind_calls_in_flight", method=NEVER) == 1,
            within=5 * SLOWNESS,
            what="one in flight",
        )
        pending.cancel()
        eventually(
            lambda: scrape(watched).total(
                "plugind_calls_total", method=NEVER, outcome="cancelled"
            )
            == 1,
            within=5 * SLOWNESS,
            what="one cancelled",
        )
    assert scrape(watched).total("plugind_calls_in_flight") == 0


def test_plugins_and_the_daemon_itself_are_on_the_page(watched: Daemon) -> None:
    watched.plugin("one", fault("good"), backoff={"initial": "20ms"})
    watched.plugin("off", fault("good"), enabled=False)
    watched.start().wait_ready("one")
    os.kill(watched.get("one").pid, signal.SIGKILL)
    eventually(lambda: watched.get("one").restarts == 1, within=10 * SLOWNESS, what="a restart")
    watched.wait_ready("one")
    page = scrape(watched)
    version = watched.info().version
    assert page.samples("plugind_build_info", version=version) == [1]
    for name, state in (("one", "READY"), ("off", "STOPPED")):
        states = {
            sample.labels["state"]: sample.value
            for sample in page.families["plugind_plugin_state"].samples
            if sample.labels["plugin"] == name
        }
        assert states == {
            each: float(each == state) for each in State.keys() if each != "STATE_UNSPECIFIED"
        }
    assert page.samples("plugind_plugin_restarts_total", plugin="one") == [1]
    assert page.samples("plugind_plugin_wanted", plugin="off") == [0]
    assert page.samples("plugind_log_dropped_bytes_total", plugin="one") == [0]
    resident = page.total("process_resident_memory_bytes")
    status = Path(f"/proc/{watched.brain_pid}/status").read_text()
    kib = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert kib and 0.5 < resident / (int(kib[1]) * 1024) < 2
    assert page.total("process_open_fds") > 10
    started = watched.info().keeper_started_at.seconds
    assert abs(page.total("plugind_start_time_seconds") - started) <= 1
    for family in page.families.values():
        assert family.documentation and family.type != "unknown", family


def test_what_callers_name_methods_cannot_break_the_page(watched: Daemon) -> None:
    watched.plugin("one", fault("good"))
    watched.start().wait_ready("one")
    with through_gateway(watched, "one") as channel:
        for number in range(400):
            call(channel, f'/a.B/c"}}\\{number}')
            call(channel, f"/a.B/c{number}")
    page = scrape(watched)
    assert page.total("plugind_calls_started_total", plugin="one") == 400
    assert len(page.samples("plugind_calls_started_total", plugin="one")) < 300
    # What is no path of a method has no series of its own.
    assert page.samples("plugind_calls_total", plugin="", outcome="rejected") == [400]


# ---- pluginctl top ----


def top(daemon: Daemon, *options: str) -> dict:
    return json.loads(daemon.ctl("top", "-b", "-n", "1", "-o", "json", *options).stdout)


def test_top_and_the_rpc_and_the_page_agree(watched: Daemon) -> None:
    watched.plugin("one", fault("good"))
    watched.plugin("two", fault("good"))
    watched.start().wait_ready("one", "two")
    with through_gateway(watched, "one") as channel:
        for _ in range(25):
            assert call(channel, ECHO, b"x" * 95) == "OK"
        assert call(channel, "/fault.v1.Fault/NoSuchMethod") == "UNIMPLEMENTED"
    document = top(watched)
    assert document["sinceStart"] and document["seconds"] > 0
    [one] = [row for row in document["plugins"] if row["plugin"] == "one"]
    assert (one["started"], one["ok"], one["error"], one["inFlight"]) == (26, 25, 1, 0)
    assert one["requestBytes"] == 25 * 100 + PREFIX and one["failedShare"] == 1 / 26
    assert one["callsPerSecond"] == pytest.approx(26 / document["seconds"])
    assert 0 < one["p50Seconds"] <= one["p90Seconds"] <= one["p99Seconds"] < 10
    [echo] = [row for row in top(watched, "--methods")["methods"] if row["method"] == ECHO]
    assert echo["ok"] == 25 and echo["caller"] == "user"

    response = watched.rpc.ListCalls(control_pb2.ListCallsRequest(name="one"), timeout=5 * SLOWNESS)
    assert {stats.plugin for stats in response.calls} == {"one"}
    [stats] = [stats for stats in response.calls if stats.method == ECHO]
    assert stats.ok == stats.started == sum(stats.latency.counts) == 25
    page = scrape(watched)
    sums = page.samples("plugind_call_duration_seconds_sum", method=ECHO)
    assert sums == [pytest.approx(stats.latency.sum.ToNanoseconds() / 1e9)]
    with pytest.raises(grpc.RpcError) as unknown:
        watched.rpc.ListCalls(control_pb2.ListCallsRequest(name="none"), timeout=5 * SLOWNESS)
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND


def test_top_shows_rates_between_two_looks(watched: Daemon) -> None:
    watched.plugin("one", fault("good"))
    watched.start().wait_ready("one")
    with through_gateway(watched, "one") as channel:
        assert call(channel, ECHO) == "OK"
    first, second = map(
        json.loads,
        watched.ctl("top", "-n", "2", "-d", "0.3", "-o", "json").stdout.splitlines(),
    )
    assert [row["ok"] for row in first["plugins"] if row["plugin"] == "one"] == [1]
    assert [row["started"] for row in second["plugins"] if row["plugin"] == "one"] == [0]
    assert not second["sinceStart"] and 0.3 <= second["seconds"] < 10 * SLOWNESS


# ---- Probes ----


def test_probes_tell_life_from_readiness(watched: Daemon) -> None:
    watched.plugin("one", fault("good"), backoff={"initial": "10m", "max": "10m"})
    watched.plugin("two", fault("good"))
    watched.start().wait_ready("one", "two")
    assert ask(watched, "/livez") == (200, "alive\n")
    assert ask(watched, "/readyz") == (200, "ready\n")
    os.kill(watched.get("one").pid, signal.SIGKILL)
    watched.wait_state("one", "BACKOFF")
    status, text = ask(watched, "/readyz")
    assert status == 503 and re.search(r"^\[-\] one BACKOFF: .*signal 9", text, re.M), text
    assert "two" not in text
    status, text = ask(watched, "/readyz?verbose")
    assert status == 503 and "[+] two READY" in text
    assert ask(watched, "/livez")[0] == 200
    watched.ctl("status", "--check", code=3)  # the two agree
    watched.ctl("start", "one")
    assert ask(watched, "/readyz")[0] == 200
    watched.ctl("stop", "two")
    assert ask(watched, "/readyz?verbose") == (
        200,
        "[+] one READY\n[+] two STOPPED, not wanted: stopped by an operator\nready\n",
    )


def test_readiness_ends_with_the_stop_and_life_does_not(watched: Daemon) -> None:
    watched.plugin("stubborn", fault("ignores-sigterm"), stop={"grace": "2s"})
    watched.start().wait_ready("stubborn")
    assert watched.process
    watched.process.send_signal(signal.SIGTERM)
    eventually(lambda: ask(watched, "/readyz")[0] == 503, within=2, what="not ready")
    assert "stopping" in ask(watched, "/readyz")[1]
    assert ask(watched, "/livez")[0] == 200
    watched.wait_ended()
    assert not metrics_socket(watched).exists()


def test_what_is_no_such_request_is_told_so(watched: Daemon) -> None:
    watched.start()
    assert ask(watched, "/")[0] == 404
    assert ask(watched, "/metrics", "POST")[0] == 405
    assert ask(watched, "/metrics", "HEAD") == (200, "")
    for nonsense, answer in (
        (b"\x16\x03\x01\x02\x00\x01", b"400"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 9000, b"431"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
    ):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(10 * SLOWNESS)
            stranger.connect(str(metrics_socket(watched)))
            stranger.sendall(nonsense)
            assert stranger.recv(4096).startswith(b"HTTP/1.1 " + answer), nonsense


# ---- Where it listens ----


def test_a_port_in_use_is_told_and_the_daemon_runs_without(
    make_daemon: Callable[..., Daemon]
) -> None:
    first = make_daemon(settings={"metrics": {"listen": "127.0.0.1:0"}}).start()
    listen = serving_on(first)
    second = make_daemon(settings={"metrics": {"listen": listen}})
    second.plugin("one", fault("good"))
    second.start().wait_ready("one")
    [warning] = log_lines(second, NOT_SERVED)
    assert warning["level"] == "warn" and warning["listen"] == listen
    assert "in use" in warning["cause"]
    first.stop()
    second.reload()
    assert serving_on(second) == listen
    connection = http.client.HTTPConnection(listen, timeout=10 * SLOWNESS)
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_successor_listens_where_the_killed_one_did(make_daemon: Callable[..., Daemon]) -> None:
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    daemon = make_daemon(settings={"metrics": {"listen": f"127.0.0.1:{port}"}}).start()

    def alive() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10 * SLOWNESS)
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200

    assert alive()
    # One that is left half open by the death.
    idle = socket.create_connection(("127.0.0.1", port))
    daemon.wait_brain_after(daemon.kill_brain())
    eventually(lambda: serving_on(daemon), within=5 * SLOWNESS, what="served again")
    assert alive()
    idle.close()
    assert not log_lines(daemon, NOT_SERVED)


def test_a_reload_moves_the_page(watched: Daemon) -> None:
    watched.start()
    assert ask(watched, "/livez")[0] == 200
    watched.configure(metrics={"listen": ""})
    watched.reload()
    assert not metrics_socket(watched).exists()
    watched.configure(metrics={"listen": f"unix:{metrics_socket(watched)}"})
    watched.reload()
    assert ask(watched, "/livez")[0] == 200


# ---- In the log ----


def test_ended_calls_are_in_the_log_with_their_trace(daemon: Daemon) -> None:
    daemon.configure(daemon={"log_level": "debug"})
    daemon.plugin("one", fault("good"), backoff={"initial": "20ms"}, call={"timeout": "2s"})
    daemon.start().wait_ready("one")
    with through_gateway(daemon, "one") as channel:
        assert call(channel, ECHO, b"x") == "OK"
        assert call(channel, EXIT) == "UNAVAILABLE"

    def ended(method: str) -> list[dict]:
        return [line for line in log_lines(daemon, "a call has ended") if line["method"] == method]

    eventually(lambda: ended(ECHO) and ended(EXIT), within=5 * SLOWNESS, what="both in the log")
    [echo], [death] = ended(ECHO), ended(EXIT)
    assert echo["level"] == "debug" and echo["outcome"] == "ok" and echo["code"] == 0
    assert echo["plugin"] == "one" and echo["caller"] == f"uid:{os.geteuid()}"
    assert echo["trace"] == death["trace"] == TRACE
    assert 0 < echo["duration_ms"] < 10_000
    assert death["level"] == "warn" and death["outcome"] == "unavailable_maybe_executed"
    assert death["code"] == 14 and "one" in death["detail"]

    daemon.configure(daemon={"log_level": "info"})
    daemon.reload()
    before = len(ended(ECHO))
    with through_gateway(daemon, "one") as channel:
        daemon.wait_ready("one")
        assert call(channel, ECHO, b"x") == "OK"
        assert call(channel, NEVER) == "DEADLINE_EXCEEDED"
    eventually(lambda: ended(NEVER), within=5 * SLOWNESS, what="the deadline in the log")
    assert ended(NEVER)[0]["level"] == "info" and len(ended(ECHO)) == before
