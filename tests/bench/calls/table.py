"""The results for a person: a block for each kind of load, the aims, the reasons for every dash."""

from __future__ import annotations

from calls.aims import Aim, load_name, size_name
from calls.caller import Load
from calls.results import DIRECT, METRICS, NO_MEDIATOR, Metric, Results


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


class Table:
    def __init__(self, results: Results) -> None:
        self._results = results
        self._reasons: list[str] = []
        self._lost: list[str] = []

    def _dash(self, reason: str) -> str:
        if reason not in self._reasons:
            self._reasons.append(reason)
        return f"– [{self._reasons.index(reason) + 1}]"

    def _text(self, load: Load, system: str, metric: Metric) -> str:
        cell = self._results.cell(load, system)
        if cell.absent:
            return self._dash(cell.absent)
        value = self._results.value(load, system, metric.key)
        if value is None:
            return self._dash(NO_MEDIATOR)
        text = _number(value)
        ratio = self._results.ratio(load, system, metric.key)
        if system != DIRECT and ratio is not None:
            text += f" ×{ratio:.2f}"
        if cell.lost:
            text += f" ({cell.lost} lost)"
            if (where := f"{system}, {load_name(load)}: {cell.error}") not in self._lost:
                self._lost.append(where)
        return text

    def _block(self, loads: list[Load]) -> list[str]:
        rows = [["", "", *self._results.systems]]
        for load in loads:
            for metric in METRICS:
                first = metric is METRICS[0]
                title = metric.title + ("/s" if metric.unit == "/s" else f", {metric.unit}")
                cells = (self._text(load, system, metric) for system in self._results.systems)
                rows.append([size_name(load.size) if first else "", title, *cells])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            "  ".join(
                text.ljust(width) if i < 2 else text.rjust(width)
                for i, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]

    def render(self, heading: list[str], aims: list[Aim]) -> str:
        explanation = "medians of the rounds; × is the median of each round's ratio to direct"
        lines = [*heading, explanation, ""]
        kinds = dict.fromkeys((load.mode, load.in_flight) for load in self._results.loads)
        for mode, in_flight in kinds:
            loads = [x for x in self._results.loads if (x.mode, x.in_flight) == (mode, in_flight)]
            lines += [load_name(loads[0]).rsplit(",", 1)[0], *self._block(loads), ""]
        lines.append("Aims")
        for aim in aims:
            shown = "–" if aim.measured is None else f"{aim.measured:.2f}"
            sign = "≥" if aim.at_least else "≤"
            lines.append(f"  {aim.verdict:<12}  {aim.text}: {shown} ({sign} {aim.limit:g})")
            lines += [f"{'':18}behind: {where}" for where in aim.behind]
        if self._reasons:
            lines += ["", "No figure, because"]
            lines += [f"  [{i}] {reason}" for i, reason in enumerate(self._reasons, 1)]
        if self._lost:
            lines += ["", "Lost rounds, by the first error", *(f"  {x}" for x in self._lost)]
        return "\n".join(lines)
