"""What was measured: for each load and system a sample a round, and what follows from them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from calls.caller import STREAMING, UNARY, Load, Slice
from calls.systems import Direct

DIRECT = Direct.column


@dataclass(frozen=True)
class Metric:
    key: str
    title: str
    unit: str


METRICS = (
    Metric("p50", "p50", "µs"),
    Metric("p99", "p99", "µs"),
    Metric("rate", "calls", "/s"),
    Metric("cpu_mediator", "CPU a call, mediator", "µs"),
    Metric("cpu_all", "CPU a call, all", "µs"),
)

NO_MEDIATOR = "there is none between caller and plugin"


@dataclass
class Cell:
    """One load on one system: each metric's values by round, or `absent`, the reason for none."""

    load: Load
    system: str
    rounds: dict[int, dict[str, float]] = field(default_factory=dict)
    lost: int = 0  # rounds in which a call failed
    error: str = ""  # of the first of these calls
    absent: str = ""


class Results:
    def __init__(self, loads: Sequence[Load], systems: Sequence[str]) -> None:
        self.loads = tuple(loads)
        self.systems = tuple(systems)
        self._cells = {(load, name): Cell(load, name) for load in loads for name in systems}

    def cell(self, load: Load, system: str) -> Cell:
        return self._cells[load, system]

    def omit(self, system: str, reason: str) -> None:
        for load in self.loads:
            self.cell(load, system).absent = reason

    def add(
        self, load: Load, system: str, turn: int, made: Slice, mediator: float | None, all_: float
    ) -> None:
        """`mediator` and `all_` are CPU seconds; None: there is no mediator."""
        cell = self.cell(load, system)
        if made.failed or not made.calls:
            cell.lost += 1
            cell.error = cell.error or made.error or "no call ended in time"
            return
        sample = {
            "p50": made.p50_us,
            "p99": made.p99_us,
            "rate": made.calls / made.seconds,
            "cpu_all": all_ / made.all * 1e6,
        }
        if mediator is not None:
            sample["cpu_mediator"] = mediator / made.all * 1e6
        cell.rounds[turn] = sample

    def finish(self) -> None:
        """Gives every cell without a number its reason."""
        for cell in self._cells.values():
            if not cell.rounds and not cell.absent:
                cell.absent = (
                    f"calls failed in all {cell.lost} rounds: {cell.error}"
                    if cell.lost
                    else "not part of this run"
                )

    def value(self, load: Load, system: str, metric: str) -> float | None:
        """The median over the rounds."""
        found = [sample[metric] for sample in self._rounds(load, system) if metric in sample]
        return statistics.median(found) if found else None

    def ratio(self, load: Load, system: str, metric: str, base: str = DIRECT) -> float | None:
        """The median of each round's own ratio."""
        if (load, system) not in self._cells or (load, base) not in self._cells:
            return None
        mine, theirs = self.cell(load, system).rounds, self.cell(load, base).rounds
        found = [
            mine[turn][metric] / theirs[turn][metric]
            for turn in mine.keys() & theirs.keys()
            if metric in mine[turn] and theirs[turn].get(metric)
        ]
        return statistics.median(found) if found else None

    def _rounds(self, load: Load, system: str) -> list[dict[str, float]]:
        return list(self.cell(load, system).rounds.values())

    def as_json(self) -> list[dict[str, object]]:
        cells = self._cells.values()
        return [self._cell_as_json(cell, metric.key) for cell in cells for metric in METRICS]

    def _cell_as_json(self, cell: Cell, metric: str) -> dict[str, object]:
        head: dict[str, object] = {
            "mode": cell.load.mode,
            "in_flight": cell.load.in_flight,
            "size": cell.load.size,
            "system": cell.system,
            "metric": metric,
        }
        if cell.absent:
            return head | {"absent": cell.absent}
        values = [sample[metric] for sample in cell.rounds.values() if metric in sample]
        if not values:
            return head | {"absent": NO_MEDIATOR}
        ratio = self.ratio(cell.load, cell.system, metric)
        return head | {
            "median": round(statistics.median(values), 3),
            "min": round(min(values), 3),
            "max": round(max(values), 3),
            "ratio": None if ratio is None else round(ratio, 4),
            "rounds": len(values),
            "lost": cell.lost,
            "error": cell.error,
        }


MODES = (UNARY, STREAMING)


def loads(modes: Sequence[str], in_flight: Sequence[int], sizes: Sequence[int]) -> list[Load]:
    return [Load(mode, many, size) for mode in modes for many in in_flight for size in sizes]
