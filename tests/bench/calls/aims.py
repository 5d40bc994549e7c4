"""What this project has set itself for a mediated call, and whether this run shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from calls.caller import Load
from calls.results import Results
from calls.systems import PROXIES, GoPlugin, Plugind, PlugindWithoutSpin

SIZES = {16: "16 B", 64 << 10: "64 KiB", 1 << 20: "1 MiB"}
_SPIN, _NO_SPIN = Plugind.column, PlugindWithoutSpin.column
# p50 with one call at a time, as a ratio to direct.
_ONE_AT_A_TIME = {
    16: ((_SPIN, 1.3), (_NO_SPIN, 1.5)),
    64 << 10: ((_SPIN, 1.5),),
    1 << 20: ((_SPIN, 1.3),),
}
_RATE = 0.8


def size_name(size: int) -> str:
    return SIZES.get(size, f"{size} B")


def load_name(load: Load) -> str:
    many = "one at a time" if load.in_flight == 1 else f"{load.in_flight} in flight"
    return f"{load.mode}, {many}, {size_name(load.size)}"


@dataclass(frozen=True)
class Aim:
    text: str
    limit: float
    at_least: bool
    measured: float | None  # None: the run has no figure
    behind: list[str] = field(default_factory=list)  # where, for an aim about many loads

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        met = self.measured >= self.limit if self.at_least else self.measured <= self.limit
        return "met" if met else "missed"

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"verdict": self.verdict}


def _to_direct(results: Results) -> Iterator[Aim]:
    for load in results.loads:
        if load.in_flight == 1:
            for system, limit in _ONE_AT_A_TIME.get(load.size, ()):
                measured = results.ratio(load, system, "p50")
                text = f"{system}: p50 to direct, {load_name(load)}"
                yield Aim(text, limit, at_least=False, measured=measured)
        else:
            measured = results.ratio(load, _SPIN, "rate")
            text = f"{_SPIN}: calls/s to direct, {load_name(load)}"
            yield Aim(text, _RATE, at_least=True, measured=measured)


def _cost(results: Results, load: Load, system: str, peer: str) -> float | None:
    """Above 1: `system` is behind `peer`, in p50 with one call at a time, else in calls/s."""
    if load.in_flight == 1:
        return results.ratio(load, system, "p50", peer)
    return results.ratio(load, peer, "rate", system)


def _to_peer(results: Results, system: str, peer: str, text: str) -> Aim:
    """The worst of all loads; none, unless every load has a figure."""
    costs = {load: _cost(results, load, system, peer) for load in results.loads}
    known = {load: cost for load, cost in costs.items() if cost is not None}
    behind = [f"{load_name(load)} ×{cost:.2f}" for load, cost in known.items() if cost > 1]
    worst = max(known.values()) if known and len(known) == len(costs) else None
    return Aim(text, 1.0, at_least=False, measured=worst, behind=behind)


def aims(results: Results) -> list[Aim]:
    found = list(_to_direct(results))
    for system in (_SPIN, _NO_SPIN):
        for peer in PROXIES:
            text = f"{system}: ahead of {peer} everywhere, worst cost to it"
            found.append(_to_peer(results, system, peer, text))
        text = f"{system}: no slower than {GoPlugin.column} is directly, worst cost to it"
        found.append(_to_peer(results, system, GoPlugin.column, text))
    return found
