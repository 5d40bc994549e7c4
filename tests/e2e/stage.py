"""A daemon with a plugin under test, another one that must not notice, and a comparison of before and after."""

from __future__ import annotations

from typing import Any

from baseline import Baseline
from daemon import Daemon, State, brief, fault
from fault_cases import LONG_BACKOFF
from settings import SLOWNESS


class Stage:
    """A daemon with a witness, and a plugin under test that is not yet enabled."""

    def __init__(self, daemon: Daemon, command: list[str], **config: Any) -> None:
        self.daemon = daemon
        daemon.plugin("witness", fault("good"))
        daemon.plugin("warm", fault("good"), enabled=False)
        daemon.plugin("subject", command, enabled=False, **{"backoff": LONG_BACKOFF, **config})
        daemon.start().wait_ready("witness")
        # What is made on first use – gRPC's threads and fds, say – is made before anything is counted.
        daemon.change("Enable", "warm")
        daemon.wait_ready("warm")
        daemon.change("Disable", "warm")
        daemon.wait_state("warm", "STOPPED")
        self.baseline = Baseline(daemon, "witness")
        self.since = 0

    def enable(self) -> None:
        self.since = self.daemon.change("Enable", "subject")

    def states(self, last: str, within: float = 20.0) -> list[str]:
        """The states that the subject goes through until it is in `last`, from its enabling on."""
        seen: list[str] = []
        for event in self.daemon.follow_events(self.since, "subject", within * SLOWNESS):
            state = State.Name(event.to)
            if not seen or seen[-1] != state:
                seen.append(state)
            if state == last:
                return seen
        raise AssertionError(
            f"no {last} in time; {[brief(e) for e in self.daemon.events(self.since, 'subject')]}"
        )

    def end(self) -> None:
        """Stops the subject, and compares with how it was before it was ever started."""
        self.daemon.change("Disable", "subject")
        self.daemon.wait_state("subject", "STOPPED", within=30)
        self.baseline.check(gone="subject")
