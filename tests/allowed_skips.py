"""The tests that skip themselves in a stage of run.sh, and why. Any other skip is a gap that nobody has agreed to."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from fnmatch import fnmatchcase

WITHOUT_FAILPOINTS = ("release", "tsan", "clang")
SANITIZED = ("asan", "tsan", "clang")


@dataclass(frozen=True)
class AllowedSkip:
    stages: tuple[str, ...]
    test: str  # SUITE.TEST, with * and ? as in the shell
    reason: str


ALLOWED = [
    AllowedSkip(
        WITHOUT_FAILPOINTS,
        "Trees/KeeperTreeTest.ATreeThatCannotBeKilledIsStuckUntilItCan/*",
        "only a failpoint makes a process unkillable; the stage asan has them",
    ),
    AllowedSkip(
        SANITIZED,
        "KeeperTest.FiveHundredProcessesCostLessThanTwoMebibytes",
        "a sanitizer's memory is not the keeper's; the stage release measures it",
    ),
    AllowedSkip(
        ("asan",),
        "ServeTest.RunningOutOfFdsDelaysConnectionsAndKillsNothing",
        "UBSan itself fails without fds; the stage release runs it",
    ),
]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


if not _has_ipv6():
    ALLOWED.append(
        AllowedSkip(
            ("release", *SANITIZED),
            "DialTest.ReachesAListenerOnIpv6",
            "the machine has no IPv6",
        )
    )


def reason(stage: str, test: str) -> str | None:
    """Why this test may be skipped in this stage; None when it may not."""
    for skip in ALLOWED:
        if stage in skip.stages and fnmatchcase(test, skip.test):
            return skip.reason
    return None
