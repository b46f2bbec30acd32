"""The results as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .cells import SCENARIOS, Result


def tables(results: Sequence[Result]) -> str:
    """A table of what works, one of failures, then every FAIL with its reason."""
    parts = []
    for alone, heading in ((False, "seconds"), (True, "calls upstream, seconds")):
        chosen = [result for result in results if SCENARIOS[result.cell.scenario].alone == alone]
        if chosen:
            parts.append(f"{heading}\n{_table(chosen, calls=alone)}")
    failed = [result for result in results if result.why]
    parts.append("\n".join(result.line() for result in failed) or "no FAIL")
    parts.append(f"{len(results) - len(failed)} PASS, {len(failed)} FAIL")
    return "\n\n".join(["", *parts])


def _table(results: Sequence[Result], *, calls: bool) -> str:
    names = [name for name in SCENARIOS if any(result.cell.scenario == name for result in results)]
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for result in sorted(results, key=lambda result: (result.cell.client, result.cell.model)):
        row = rows.setdefault((result.cell.client, result.cell.model), {})
        row[result.cell.scenario] = _shown(result, calls=calls)
    head = ["client", "model", *names]
    return _aligned([head, *([*key, *(row.get(name, "") for name in names)] for key, row in rows.items())])


def _shown(result: Result, *, calls: bool) -> str:
    count = f" ({result.calls})" if calls and result.calls is not None else ""
    return f"{'FAIL' if result.why else 'PASS'}{count} {result.seconds:.1f}"


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
