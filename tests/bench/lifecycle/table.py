"""The results for a person: one aligned table, then the aims, then the reasons for every dash."""

from __future__ import annotations

import unicodedata

from lifecycle.aims import Aim
from lifecycle.results import METRICS, Cell, Results


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 1 for c in text)


def _number(value: object) -> str:
    assert isinstance(value, float)
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


class Table:
    def __init__(self, results: Results) -> None:
        self._results = results
        self._reasons: list[str] = []

    def _cell(self, cell: Cell) -> str:
        if cell.absent:
            if cell.absent not in self._reasons:
                self._reasons.append(cell.absent)
            return f"– [{self._reasons.index(cell.absent) + 1}]"
        summary = cell.summary()
        text = _number(summary["median"])
        if len(cell.values) > 1:
            text += f" / {_number(summary['p99'])}"
        return text + (f" ({cell.lost} lost)" if cell.lost else "")

    def _block(self, columns: tuple[str, ...]) -> list[str]:
        rows = [["", "plugins", *columns]]
        for metric in METRICS:
            if metric.columns != columns:
                continue
            for size in self._results.sizes:
                first = size == self._results.sizes[0]
                title = f"{metric.title}, {metric.unit}" if first else ""
                cells = (self._results.cell(metric.key, c, size) for c in columns)
                rows.append([title, str(size), *map(self._cell, cells)])
        widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
        return [
            "  ".join(
                # Titles to the left, everything else to the right.
                text + " " * (width - _width(text))
                if i == 0
                else " " * (width - _width(text)) + text
                for i, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]

    def render(self, heading: list[str], aims: list[Aim]) -> str:
        lines = [*heading, "", "median / p99; one figure where there is one sample", ""]
        for columns in dict.fromkeys(metric.columns for metric in METRICS):
            lines += [*self._block(columns), ""]
        lines.append("Aims")
        for aim in aims:
            shown = "–" if aim.measured is None else f"{_number(float(aim.measured))} {aim.unit}"
            lines.append(f"  {aim.verdict:<12}  {aim.text}: {shown} (≤ {aim.limit:g} {aim.unit})")
        if self._reasons:
            lines += ["", "No figure, because"]
            lines += [f"  [{i}] {reason}" for i, reason in enumerate(self._reasons, 1)]
        return "\n".join(lines)
