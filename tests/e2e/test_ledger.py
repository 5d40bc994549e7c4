"""Calls across trouble: every call has one end, and what the gateway says of its execution is true."""

from __future__ import annotations

import contextlib
import os
import queue
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from daemon import CHANNEL_OPTIONS, Daemon
from plugind.control.v1 import control_pb2
from processes import eventually
from settings import LEDGER_CALLS, PLUGINS, PROGRAMS, SLOWNESS

LEDGER_PLUGIN = PROGRAMS / "tests" / "ledger_plugin"
KINDS = ["Unary", "ServerStream", "ClientStream", "Bidi"]
CALLERS = 16


def book_of(daemon: Daemon, name: str) -> Path:
    return daemon.root / f"{name}.book"


def add_ledger(daemon: Daemon, name: str, **settings: object) -> None:
    daemon.plugin(
        name,
        [str(LEDGER_PLUGIN), str(book_of(daemon, name))],
        backoff={"initial": "0ms"},
        quarantine={"failures": 0},
        call={
            "idempotent": [f"/ledger.v1.Ledger/Idempotent{kind}" for kind in KINDS],
            "timeout": "30s",
        },
        **settings,
    )


def plugin_channel(daemon: Daemon, name: str) -> grpc.Channel:
    return grpc.insecure_channel(
        f"unix:{daemon.runtime}/plugins/{name}.sock",
        options=[*CHANNEL_OPTIONS, ("grpc.enable_retries", 0)],
    )


def call(channel: grpc.Channel, method: str, call_id: str, timeout: float) -> list[bytes]:
    """Makes one call of the kind that `method` names; returns its answers."""
    path = f"/ledger.v1.Ledger/{method}"
    first = call_id.encode()
    if method.endswith("ServerStream"):
        return list(channel.unary_stream(path, None, None)(first, timeout=timeout))
    if method.endswith("ClientStream"):
        return [channel.stream_unary(path, None, None)(iter([first, b"more", b"more"]), timeout=timeout)]
    if method.endswith("Bidi"):
        return list(channel.stream_stream(path, None, None)(iter([first, b"more"]), timeout=timeout))
    return [channel.unary_unary(path, None, None)(first, timeout=timeout)]


@dataclass
class Ended:
    method: str
    code: grpc.StatusCode
    executed: str  # of the trailer plugind-executed; "" if it says nothing
    details: str = ""


@dataclass
class Callers:
    """Threads that share a number of calls; every one writes down how each of its calls ended."""

    daemon: Daemon
    names: list[str]
    count: int
    ends: dict[str, Ended] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: int = 0

    def _take(self) -> int | None:
        with self._lock:
            if self._next >= self.count:
                return None
            self._next += 1
            return self._next

    def _run(self, seed: int) -> None:
        choose = random.Random(seed)
        channels = {name: plugin_channel(self.daemon, name) for name in self.names}
        while (number := self._take()) is not None:
            name = choose.choice(self.names)
            method = choose.choice(["", "Idempotent"]) + choose.choice(KINDS)
            call_id = f"{name}-{number}"
            try:
                answers = call(channels[name], method, call_id, 20 * SLOWNESS)
                expected = {"ServerStream": 3, "Bidi": 2}.get(method.removeprefix("Idempotent"), 1)
                if len(answers) != expected or answers[0] != call_id.encode():
                    self.wrong.append(f"{call_id} {method} was answered {answers}")
                end = Ended(method, grpc.StatusCode.OK, "")
            except grpc.RpcError as error:
                trailers = dict(error.trailing_metadata() or ())
                end = Ended(method, error.code(), trailers.get("plugind-executed", ""), error.details())
            with self._lock:
                if call_id in self.ends:
                    self.wrong.append(f"{call_id} ended twice")
                self.ends[call_id] = end
        for channel in channels.values():
            channel.close()

    def start(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(CALLERS)]
        for thread in threads:
            thread.start()
        return threads


def entries(daemon: Daemon, names: list[str]) -> Counter[str]:
    """How often each call was executed, by id, as the plugins' books say."""
    executed: Counter[str] = Counter()
    for name in names:
        for line in book_of(daemon, name).read_text().splitlines():
            executed[line.split()[0]] += 1
    return executed


def pid_of(daemon: Daemon, name: str) -> int:
    """0 where there is none, or plugind has just been killed."""
    try:
        return daemon.get(name).pid
    except grpc.RpcError:
        return 0


def check_against_books(callers: Callers, executed: Counter[str]) -> None:
    wrong = list(callers.wrong)
    for call_id, end in callers.ends.items():
        times = executed[call_id]
        if times > 1 and not end.method.startswith("Idempotent"):
            wrong.append(f"{call_id} {end} was executed {times} times")
        if end.code == grpc.StatusCode.OK and times == 0:
            wrong.append(f"{call_id} {end} was never executed")
        if end.executed == "no" and times > 0:
            wrong.append(f"{call_id} {end} was executed")
        if end.code not in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE):
            wrong.append(f"{call_id} ended {end}")
    strangers = set(executed) - set(callers.ends)
    wrong += [f"{call_id} was executed and never ended" for call_id in strangers]
    assert not wrong, wrong[:10]


@pytest.mark.campaign
def test_every_call_has_one_end_that_tells_the_truth(daemon: Daemon) -> None:
    names = ["ledger0", "ledger1", "ledger2"]
    daemon.configure(daemon={"restarts_per_second": 0})
    for name in names:
        add_ledger(daemon, name)
    daemon.start().wait_ready(*names)
    callers = Callers(daemon, names, LEDGER_CALLS)
    threads = callers.start()
    choose = random.Random(7)
    kills = Counter[str]()
    killed = 0
    while any(thread.is_alive() for thread in threads):
        time.sleep(choose.uniform(0.05, 0.25))
        if choose.random() < 0.15:
            # The last kill may be so short ago that nobody says which process it is now.
            with contextlib.suppress(grpc.RpcError):
                killed = daemon.kill_brain()
                kills["plugind"] += 1
        else:
            victim = choose.choice(names)
            pid = pid_of(daemon, victim)
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    kills["plugin"] += 1
    for thread in threads:
        thread.join()
    daemon.wait_brain_after(killed)  # the last thing that happened may have been its death
    daemon.wait_ready(*names)
    assert len(callers.ends) == LEDGER_CALLS
    check_against_books(callers, entries(daemon, names))
    ends = Counter(
        f"{end.code.name}{' executed=' + end.executed if end.executed else ''}"
        for end in callers.ends.values()
    )
    print(f"\n{LEDGER_CALLS} calls, {dict(kills)}: {dict(ends)}")
    assert kills["plugin"] > 0 and ends["OK"] > LEDGER_CALLS / 2


def test_a_call_waits_for_its_plugin(daemon: Daemon) -> None:
    add_ledger(daemon, "ledger")
    daemon.start().wait_ready("ledger")
    with plugin_channel(daemon, "ledger") as channel:
        call(channel, "Unary", "warm", 10 * SLOWNESS)
        for number in range(5):
            os.kill(daemon.get("ledger").pid, signal.SIGKILL)
            # Sent the moment before or after the death is noticed: never executed twice, and an
            # idempotent one always succeeds.
            call(channel, "IdempotentUnary", f"w{number}", 10 * SLOWNESS)
    executed = entries(daemon, ["ledger"])
    assert all(executed[f"w{number}"] >= 1 for number in range(5))


def test_no_connect_is_refused_while_plugind_dies_again_and_again(daemon: Daemon) -> None:
    add_ledger(daemon, "ledger")
    daemon.start().wait_ready("ledger")
    stop = threading.Event()
    refused: list[str] = []
    waited: list[str] = []
    made = Counter[str]()

    def loop(thread: int) -> None:
        while not stop.is_set():
            made["calls"] += 1
            number = made["calls"]
            with plugin_channel(daemon, "ledger") as channel:
                try:
                    path = "/ledger.v1.Ledger/IdempotentUnary"
                    channel.unary_unary(path, None, None)(
                        f"c{thread}-{number}".encode(), timeout=20 * SLOWNESS, wait_for_ready=True
                    )
                    made["ok"] += 1
                except grpc.RpcError as error:
                    text = f"{error.code().name}: {error.details()}"
                    (refused if "refused" in text or "No such file" in text else waited).append(text)

    threads = [threading.Thread(target=loop, args=(i,), daemon=True) for i in range(4)]
    for thread in threads:
        thread.start()
    kills = int(100 / SLOWNESS)
    for _ in range(kills):
        daemon.wait_brain_after(daemon.kill_brain())
        time.sleep(random.uniform(0.0, 0.1))
    stop.set()
    for thread in threads:
        thread.join()
    assert not refused, refused[:5]
    # A connection that had been accepted dies with plugind; what waited in the backlog does not.
    broken = [text for text in waited if not text.startswith("UNAVAILABLE")]
    assert not broken, broken[:5]
    assert made["ok"] > kills
    print(f"\n{dict(made)}, {len(waited)} broken off by a death, {kills} deaths")


def test_a_stopped_plugin_is_refused_at_once_and_says_so(daemon: Daemon) -> None:
    add_ledger(daemon, "ledger")
    daemon.start().wait_ready("ledger")
    daemon.change("Stop", "ledger")
    daemon.wait_state("ledger", "STOPPED")
    began = time.monotonic()
    with plugin_channel(daemon, "ledger") as channel:
        with pytest.raises(grpc.RpcError) as error:
            call(channel, "Unary", "x", 10)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "STOPPED" in error.value.details()
    assert dict(error.value.trailing_metadata())["plugind-executed"] == "no"
    assert time.monotonic() - began < 5 * SLOWNESS
    assert entries(daemon, ["ledger"])["x"] == 0


def test_a_stop_lets_running_calls_finish_and_takes_no_new_ones(daemon: Daemon) -> None:
    add_ledger(daemon, "ledger")
    daemon.start().wait_ready("ledger")
    requests: queue.Queue[bytes | None] = queue.Queue()
    with plugin_channel(daemon, "ledger") as channel:
        running = channel.stream_stream("/ledger.v1.Ledger/Bidi", None, None)(
            iter(requests.get, None), timeout=20 * SLOWNESS
        )
        requests.put(b"long")
        assert next(running) == b"long"
        daemon.change("Stop", "ledger")
        assert daemon.wait_state("ledger", "DRAINING").pid
        with pytest.raises(grpc.RpcError) as refused:
            call(channel, "Unary", "late", 10)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        assert dict(refused.value.trailing_metadata())["plugind-executed"] == "no"
        requests.put(b"still served")
        assert next(running) == b"still served"
        assert daemon.get("ledger").pid
        requests.put(None)
        assert list(running) == []
        assert running.code() == grpc.StatusCode.OK
    daemon.wait_state("ledger", "STOPPED")
    assert entries(daemon, ["ledger"]) == Counter(["long"])


def test_a_restart_loses_no_call(daemon: Daemon) -> None:
    add_ledger(daemon, "ledger")
    daemon.start().wait_ready("ledger")
    callers = Callers(daemon, ["ledger"], 2000)
    threads = callers.start()
    for _ in range(5):
        time.sleep(0.1)
        before = daemon.get("ledger").instance
        daemon.change("Restart", "ledger")
        daemon.wait_ready("ledger")
        assert daemon.get("ledger").instance != before
    for thread in threads:
        thread.join()
    check_against_books(callers, entries(daemon, ["ledger"]))
    assert Counter(end.code for end in callers.ends.values()) == {grpc.StatusCode.OK: 2000}


@pytest.mark.campaign
def test_the_sums_of_caller_gateway_and_plugin_agree(daemon: Daemon) -> None:
    """As above while plugind lives, so that the gateway has counted every call from the first to the last."""
    names = ["ledger0", "ledger1"]
    calls = LEDGER_CALLS // 3
    daemon.configure(daemon={"restarts_per_second": 0})
    for name in names:
        add_ledger(daemon, name)
    daemon.start().wait_ready(*names)
    callers = Callers(daemon, names, calls)
    threads = callers.start()
    kills = 0
    while any(thread.is_alive() for thread in threads):
        time.sleep(random.uniform(0.03, 0.15))
        pid = pid_of(daemon, names[kills % len(names)])
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                kills += 1
    for thread in threads:
        thread.join()
    daemon.wait_ready(*names)
    executed = entries(daemon, names)
    check_against_books(callers, executed)

    counted = Counter[str]()
    for stats in daemon.rpc.ListCalls(control_pb2.ListCallsRequest(), timeout=10).calls:
        if stats.plugin not in names:
            continue
        ends = {
            "ok": stats.ok,
            "error": stats.error,
            "rejected": stats.rejected,
            "cancelled": stats.cancelled,
            "deadline": stats.deadline_exceeded,
            "no": stats.unavailable_not_executed,
            "maybe": stats.unavailable_maybe_executed,
        }
        assert stats.started == sum(ends.values()) and stats.in_flight == 0, stats
        counted.update(ends | {"started": stats.started, "resent": stats.resent})
    told = Counter(
        end.executed or ("ok" if end.code == grpc.StatusCode.OK else end.code.name)
        for end in callers.ends.values()
    )
    print(f"\n{kills} kills; caller: {dict(told)}; gateway: {dict(+counted)}; executed: {sum(executed.values())}")
    assert counted["started"] == len(callers.ends) == calls
    for end in ("ok", "no", "maybe"):
        assert counted[end] == told[end], end
    assert sum(counted[end] for end in ("error", "rejected", "cancelled", "deadline")) == 0
    # Every execution belongs to a call that was let in; one more for each time that one was sent again.
    assert counted["ok"] <= sum(executed.values()) <= counted["started"] + counted["resent"]
    assert kills > 0


def test_a_service_of_two_plugins_is_called_by_naming_one(daemon: Daemon) -> None:
    for name in ("one", "two"):
        daemon.plugin(name, [str(PLUGINS / "greeter")])
    daemon.start().wait_ready("one", "two")
    greet = daemon.channel.unary_unary("/greeter.v1.Greeter/Greet", None, None)
    with pytest.raises(grpc.RpcError) as ambiguous:
        greet(b"", timeout=10 * SLOWNESS)
    assert ambiguous.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "one, two" in ambiguous.value.details() and "plugind-plugin" in ambiguous.value.details()
    assert greet(b"", timeout=10 * SLOWNESS, metadata=[("plugind-plugin", "two")])
    daemon.change("Stop", "one")
    daemon.wait_state("one", "STOPPED")
    assert greet(b"", timeout=10 * SLOWNESS)


def test_more_calls_than_allowed_are_shed(daemon: Daemon) -> None:
    daemon.plugin(
        "ledger", [str(LEDGER_PLUGIN), str(book_of(daemon, "ledger"))], call={"max_in_flight": 2}
    )
    daemon.start().wait_ready("ledger")
    requests: list[queue.Queue[bytes | None]] = [queue.Queue(), queue.Queue()]
    with plugin_channel(daemon, "ledger") as channel:
        bidi = channel.stream_stream("/ledger.v1.Ledger/Bidi", None, None)
        running = [bidi(iter(one.get, None), timeout=20 * SLOWNESS) for one in requests]
        for number, one in enumerate(requests):
            one.put(f"r{number}".encode())
        eventually(
            lambda: len(entries(daemon, ["ledger"])) == 2, within=10 * SLOWNESS, what="two calls"
        )
        with pytest.raises(grpc.RpcError) as shed:
            call(channel, "Unary", "third", 10 * SLOWNESS)
        assert shed.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "max_in_flight" in shed.value.details()
        for call_of_two in running:
            call_of_two.cancel()
        for one in requests:
            one.put(None)
        eventually(
            lambda: call_succeeds(channel, "after"), within=10 * SLOWNESS, what="room for a call"
        )


def call_succeeds(channel: grpc.Channel, call_id: str) -> bool:
    try:
        return bool(call(channel, "Unary", call_id, 5 * SLOWNESS))
    except grpc.RpcError:
        return False
