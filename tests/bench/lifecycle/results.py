"""What is measured and for whom: one list of cells, from which the table and the JSON both come."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Metric:
    key: str
    title: str
    unit: str
    columns: tuple[str, ...]


_SYSTEMS = ("plugind", "supervisord", "runit", "s6", "go-plugin host", "bare pidfd")
_PROCESSES = ("keeper", "daemon", *_SYSTEMS)

METRICS = (
    Metric("seen", "death → seen", "ms", _SYSTEMS),
    Metric("told", "death → told to a subscriber", "ms", _SYSTEMS),
    Metric("replaced", "death → replacement exec'd", "ms", _SYSTEMS),
    Metric("crashloop", "the same, killed within 0.1 s of its start", "ms", _SYSTEMS),
    Metric("overhead", "spawn → READY beyond its own start-up", "ms", _SYSTEMS),
    Metric("back", "death → READY again", "ms", _SYSTEMS),
    Metric("get", "RPC: one plugin", "ms", _SYSTEMS),
    Metric("cold", "the same, first after a pause", "ms", _SYSTEMS),
    Metric("list", "RPC: all plugins", "ms", _SYSTEMS),
    Metric("private", "private memory", "MiB", _PROCESSES),
    Metric("rss", "resident memory", "MiB", _PROCESSES),
    Metric("wakeups", "wake-ups a second, idle", "/s", _PROCESSES),
    Metric("wakeups_checked", "the same, health by Check every 5 s", "/s", _PROCESSES),
)


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Nearest rank: a value that was really measured."""
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


@dataclass
class Cell:
    """Either `values` or `absent`, the reason why there are none."""

    metric: str
    system: str
    size: int
    values: list[float] = field(default_factory=list)
    lost: int = 0  # samples that were tried and did not show within ten seconds
    absent: str = ""

    def summary(self) -> dict[str, object]:
        head = {"metric": self.metric, "system": self.system, "plugins": self.size}
        if self.absent:
            return head | {"absent": self.absent}
        values = sorted(self.values)
        return head | {
            "samples": len(values),
            "lost": self.lost,
            "median": round(statistics.median(values), 4),
            "p99": round(percentile(values, 0.99), 4),
            "min": round(values[0], 4),
            "max": round(values[-1], 4),
        }


class Results:
    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)
        self._cells = {
            (metric.key, column, size): Cell(metric.key, column, size)
            for metric in METRICS
            for column in metric.columns
            for size in sizes
        }

    def add(self, metric: str, system: str, size: int, value: float | None) -> None:
        cell = self._cells[metric, system, size]
        if value is None:
            cell.lost += 1
        else:
            cell.values.append(value)

    def omit(self, metric: str, system: str, size: int, reason: str) -> None:
        self._cells[metric, system, size].absent = reason

    def finish(self) -> None:
        """Gives every cell without a number its reason; there is none without either."""
        for cell in self._cells.values():
            if not cell.values and not cell.absent:
                cell.absent = (
                    f"all {cell.lost} samples were lost: nothing showed within ten seconds"
                    if cell.lost
                    else "not part of this run"
                )

    def cell(self, metric: str, system: str, size: int) -> Cell:
        return self._cells[metric, system, size]

    def cells(self) -> Iterable[Cell]:
        return self._cells.values()

    def value(self, metric: str, system: str, size: int, which: str) -> float | None:
        summary = self.cell(metric, system, size).summary()
        found = summary.get(which)
        return found if isinstance(found, float) else None
