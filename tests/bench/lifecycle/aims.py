"""What this project has set itself, and whether this run shows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lifecycle.results import Results


@dataclass(frozen=True)
class Aim:
    text: str
    limit: float
    measured: float | None  # None: the run has no figure
    unit: str

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        return "met" if self.measured <= self.limit else "missed"

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"verdict": self.verdict}


def aims(results: Results) -> list[Aim]:
    small, large = min(results.sizes), max(results.sizes)

    def worst(metric: str, column: str, which: str) -> float | None:
        values = [results.value(metric, column, size, which) for size in results.sizes]
        present = [value for value in values if value is not None]
        return max(present) if len(present) == len(values) else None

    def growth(metric: str) -> float | None:
        before = results.value(metric, "plugind", small, "median")
        after = results.value(metric, "plugind", large, "median")
        return round(after / before, 3) if before and after is not None else None

    return [
        Aim("death → seen, p99, at any size", 1.0, worst("seen", "plugind", "p99"), "ms"),
        Aim("death → exec'd, p99, at any size", 10.0, worst("replaced", "plugind", "p99"), "ms"),
        Aim("overhead to READY, median", 5.0, worst("overhead", "plugind", "median"), "ms"),
        Aim("overhead to READY, p99", 5.0, worst("overhead", "plugind", "p99"), "ms"),
        Aim("keeper's private memory", 2.0, worst("private", "keeper", "max"), "MiB"),
        Aim("keeper's wake-ups while idle", 0.0, worst("wakeups", "keeper", "max"), "/s"),
        # "As quick": within a tenth, which is what two equal series differ by on a shared machine.
        Aim(f"GetPlugin with {large} plugins : with {small}, medians", 1.1, growth("get"), "×"),
    ]
