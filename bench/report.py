"""Medians, the table and the JSON. Knows nothing of processes."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .rows import Row

BASELINE = "direct"


@dataclass(frozen=True)
class Cell:
    """One number over all runs."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        if len(self.values) == 1:
            return readable(self.median)
        return f"{readable(self.median)} ({readable(min(self.values))}..{readable(max(self.values))})"


@dataclass(frozen=True)
class Line:
    """One line of the table: a row's number, for every target that has it."""

    row: str
    number: str
    unit: str
    cells: dict[str, Cell]


class Results:
    """What was measured, run by run: a target that failed adds no numbers, but stays in step with the others."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], list[dict[str, float]]] = {}
        self.failures: list[str] = []

    def add(self, row: str, target: str, numbers: dict[str, float]) -> None:
        self._numbers.setdefault((row, target), []).append(numbers)

    def fail(self, what: str, target: str, reason: str) -> None:
        self.failures.append(f"{what}, {target}: {reason}")

    def cell(self, row: str, target: str, number: str) -> Cell | None:
        values = [numbers[number] for numbers in self._numbers.get((row, target), []) if number in numbers]
        return Cell(tuple(values)) if values else None

    def added(self, row: str, target: str, number: str) -> Cell | None:
        """The number less the one without a proxy, run by run: noise that both had is gone."""
        pairs = zip(self._numbers.get((row, target), []), self._numbers.get((row, BASELINE), []), strict=False)
        values = [mine[number] - direct[number] for mine, direct in pairs if number in mine and number in direct]
        return Cell(tuple(values)) if values and target != BASELINE else None

    def lines(self, rows: Sequence[Row], targets: Sequence[str]) -> list[Line]:
        lines = []
        for row in rows:
            for number, unit in row.units.items():
                found = {target: self.cell(row.name, target, number) for target in targets}
                lines.append(_line(row.name, number, unit, found))
                if number in row.added:
                    found = {target: self.added(row.name, target, number) for target in targets}
                    lines.append(_line(row.name, f"{number} added", unit, found))
        return [line for line in lines if line.cells]


def _line(row: str, number: str, unit: str, found: dict[str, Cell | None]) -> Line:
    return Line(row, number, unit, {target: cell for target, cell in found.items() if cell is not None})


def readable(value: float) -> str:
    """Three digits that count, and a space between thousands."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def machine_line(*, compiled: bool) -> str:
    versions = ", ".join(f"{name} {_version(name)}" for name in ("trio", "h11", "httpcore", "msgspec"))
    rig = "C upstream and generator" if compiled else "Python upstream and generator (no compiler: rates are the rig's)"
    system = f"{len(os.sched_getaffinity(0))} cores, Linux {platform.release()}, Python {platform.python_version()}"
    return f"{_processor()}, {system}, {versions}; {rig}"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def as_table(
    machine: str, rows: Sequence[Row], lines: Sequence[Line], targets: Sequence[str], failures: Sequence[str]
) -> str:
    """Markdown: the machine, the table, what the rows mean (once, where some mean the same), what failed."""
    header = ["row", "number", "unit", *targets]
    body = [[line.row, line.number, line.unit, *(str(line.cells.get(name, "-")) for name in targets)] for line in lines]
    widths = [max(len(cells[column]) for cells in [header, *body]) for column in range(len(header))]
    table = [header, ["-" * width for width in widths], *body]
    out = [machine, ""]
    out += [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
        for cells in table
    ]
    measured = {line.row for line in lines}
    names: dict[str, list[str]] = {}
    for row in rows:
        if row.name in measured:
            names.setdefault(row.meaning, []).append(row.name)
    out += ["", *(f"- **{', '.join(same)}**: {meaning}" for meaning, same in names.items())]
    if failures:
        out += ["", "Failed:", *(f"- {failure}" for failure in failures)]
    return "\n".join(out) + "\n"


def as_data(machine: str, lines: Sequence[Line], failures: Sequence[str]) -> dict[str, Any]:
    return {
        "machine": machine,
        "rows": [
            {
                "row": line.row,
                "number": line.number,
                "unit": line.unit,
                "targets": {
                    name: {
                        "median": cell.median,
                        "min": min(cell.values),
                        "max": max(cell.values),
                        "values": list(cell.values),
                    }
                    for name, cell in line.cells.items()
                },
            }
            for line in lines
        ],
        "failures": list(failures),
    }
