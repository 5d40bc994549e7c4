"""Each fault as a row: the plugin, what its file says, the states that it must go through, and why it ends where it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from daemon import fault

# A plugin that is to be started again waits for so long that the test can look at it.
LONG_BACKOFF = {"initial": "60s", "max": "60s"}

REFUSED = ("WAITING", "STARTING", "STOPPING", "FAILED")
FAILED_START = ("WAITING", "STARTING", "STOPPING", "BACKOFF")
SERVES = ("WAITING", "STARTING", "READY")
DIED = ("WAITING", "STARTING", "READY", "STOPPING", "BACKOFF")


@dataclass(frozen=True)
class Case:
    title: str
    command: list[str]
    states: tuple[str, ...]  # from the operator's `enable` on; the last one stays
    reason: str = ""  # a regular expression that the last state's reason must match
    phase: str = ""  # a regular expression for how far a start that fails has come
    config: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.title.replace(" ", "-")


CASES = [
    Case(
        "1 never prints",
        fault("never-prints"),
        FAILED_START,
        r"500 ?ms|0\.5 ?s",
        "handshake",
        {"start_timeout": "500ms"},
    ),
    Case("2 prints garbage", fault("garbage"), FAILED_START, r"more than 64 lines", "handshake"),
    Case(
        "2 prints garbage, then nothing",
        fault("garbage", "count=10"),
        FAILED_START,
        r"not READY within 0\.5 s",
        "handshake",
        {"start_timeout": "500ms"},
    ),
    Case(
        "3 prints 1 GiB without a newline",
        fault("no-newline-1gib"),
        FAILED_START,
        r"overlong line|64 KiB",
        "handshake",
    ),
    Case(
        "4 closes stdout before the handshake",
        fault("closes-stdout"),
        FAILED_START,
        r"closed its stdout",
        "handshake",
    ),
    Case("4 closes stdout after the handshake", fault("closes-stdout", "when=after"), SERVES),
    Case(
        "5 wrong core version",
        fault("wrong-core"),
        REFUSED,
        r"core protocol version 2",
        "handshake",
    ),
    Case(
        "6 unoffered app version",
        fault("wrong-app-version"),
        REFUSED,
        r"version 99; .*offers 1",
        "handshake",
    ),
    Case("7 netrpc", fault("netrpc"), REFUSED, r"netrpc", "handshake"),
    Case(
        "7 netrpc by an absent field",
        fault("netrpc", "field=absent"),
        REFUSED,
        r"netrpc",
        "handshake",
    ),
    Case("8 bad certificate field", fault("bad-certificate"), REFUSED, r"certificate", "handshake"),
    Case(
        "9 address outside its directory",
        fault("address-outside"),
        REFUSED,
        r"outside the directory",
        "handshake",
    ),
    Case(
        "10 address is a symlink",
        fault("address-symlink"),
        REFUSED,
        r"a symbolic link, not a socket",
        "connect",
    ),
    Case("10 address is a FIFO", fault("address-fifo"), REFUSED, r"a FIFO, not a socket", "connect"),
    Case(
        "10 address is a plain file",
        fault("address-file"),
        REFUSED,
        r"a plain file, not a socket",
        "connect",
    ),
    Case(
        "11 TCP to another host",
        fault("tcp-other-host"),
        REFUSED,
        r"192\.0\.2\.1.*loopback",
        "handshake",
        {"network": ["unix", "tcp"]},
    ),
    Case(
        "11 TCP where it is not allowed",
        fault("tcp-loopback"),
        REFUSED,
        r"TCP.*not allow",
        "handshake",
    ),
    Case(
        "11 TCP on loopback where it is allowed",
        fault("tcp-loopback"),
        SERVES,
        config={"network": ["unix", "tcp"]},
    ),
    Case("12 two handshake lines", fault("two-handshakes"), SERVES),
    Case(
        "13 one byte a second",
        fault("slow-handshake"),
        FAILED_START,
        r"not READY within 1\.5 s",
        "handshake",
        {"start_timeout": "1500ms"},
    ),
    Case("13 one byte at a time, quickly enough", fault("slow-handshake", "byte_ms=2"), SERVES),
    Case(
        "14 listens, then dies",
        fault("listens-then-dies", "exit=3"),
        FAILED_START,
        r"exit code 3",
        "connect|negotiate",
    ),
    Case(
        "14 listens, then ends as if done",
        fault("listens-then-dies", "exit=0"),
        FAILED_START,
        r"exit code 0",
        "connect|negotiate",
    ),
    Case(
        "14 dies before the handshake",
        fault("exits", "exit=4"),
        FAILED_START,
        r"exit code 4",
        "handshake",
    ),
    Case(
        "14 is killed before the handshake",
        fault("exits", "signal=11"),
        FAILED_START,
        r"signal 11",
        "handshake",
    ),
    Case("15 prints before it listens", fault("prints-before-listening"), SERVES),
    Case(
        "15 prints and never listens",
        fault("never-listens"),
        FAILED_START,
        r"nothing at .*p\.sock",
        "connect",
        {"start_timeout": "700ms"},
    ),
    Case(
        "16 health hangs",
        fault("health-hangs"),
        FAILED_START,
        r"not READY within 1 s",
        "warm-up",
        {"start_timeout": "1s"},
    ),
    Case(
        "17 health never says SERVING",
        fault("health-flaps", "at_start=not"),
        FAILED_START,
        r"0\.7 s",
        "warm-up",
        {"start_timeout": "700ms"},
    ),
    Case(
        "18 stops itself before the handshake",
        fault("stops-itself"),
        FAILED_START,
        r"not READY within 0\.5 s",
        "handshake",
        {"start_timeout": "500ms"},
    ),
    Case(
        "19 ignores SIGTERM", fault("ignores-sigterm"), SERVES, config={"stop": {"grace": "300ms"}}
    ),
    Case("20 double-forks", fault("double-forks"), SERVES),
    Case(
        "20 double-forks and dies",
        fault("double-forks", "crash_after_ms=200"),
        DIED,
        r"exit code 1",
    ),
    Case("21 a grandchild keeps its pipes open", fault("grandchild-keeps-pipes"), SERVES),
    Case(
        "21 a grandchild keeps the pipes of a dead plugin",
        fault("grandchild-keeps-pipes", "crash_after_ms=200"),
        DIED,
        r"exit code 1",
    ),
    Case(
        "22 has leaked every fd before it serves",
        fault("leaks-fds"),
        FAILED_START,
        r"not READY within 0\.7 s",
        "negotiate",
        {"start_timeout": "700ms", "limits": {"nofile": 64}},
    ),
    Case(
        "25 floods stderr",
        fault("floods-stderr", "mib=32"),
        SERVES,
        config={"start_timeout": "60s"},
    ),
    Case(
        "a crash while serving",
        fault("good", "crash_after_ms=200", "signal=11"),
        DIED,
        r"signal 11",
    ),
    Case(
        "its own exit code while serving",
        fault("good", "crash_after_ms=200", "exit=9"),
        DIED,
        r"exit code 9",
    ),
]
