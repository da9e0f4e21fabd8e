"""How answers look: tables, pages and trees for people, documents for programs.

On a terminal sizes and times are rounded and long cells cut to its width. In a pipe everything is exact and whole,
and only data is written. Whatever was stored passes :func:`lineage.exports.visible` before it is printed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import click

from lineage import RunRecord
from lineage.exports import visible
from lineage.jsondata import JsonValue, json_text

if TYPE_CHECKING:
    from lineage.documents import Document

T = TypeVar("T")
_LONGEST_VALUE: Final = 60
"""Characters of one of several values in a cell for people; a pipe, ``show`` and ``--json`` have it whole."""
NOTHING: Final = "-"
"""What stands for a missing value in a table, so that columns can be counted."""
_FALLBACK: Final = (80, 24)
_NARROWEST: Final = 20
_SHORTEST_CELL: Final = 8
_UPDATES: Final = 200
"""How often a progress bar moves; where the end is not known, once a mebibyte."""
_WEEK: Final = timedelta(days=7)
_LENGTHS: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def on_terminal() -> bool:
    """Whether a person reads the answer."""
    return sys.stdout.isatty()


def width() -> int:
    """Return the columns of the terminal; one that says 0, as some do, counts as 80."""
    return max(shutil.get_terminal_size(_FALLBACK).columns, _NARROWEST)


def emit(text: str) -> None:
    """Write text and a line break to stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Tell a person something that is no data: only where stdout and stderr are terminals."""
    if on_terminal() and sys.stderr.isatty():
        sys.stderr.write(visible(text) + "\n")


def emit_document(document: Document) -> None:
    """Write one document as JSON."""
    from lineage.documents import plain

    _emit_json(plain(document))


def emit_documents(documents: Iterable[Document]) -> None:
    """Write a list of documents as JSON."""
    from lineage.documents import plain

    _emit_json([plain(document) for document in documents])


def _emit_json(value: JsonValue) -> None:
    # ASCII: no terminal obeys it, and every encoding has it
    emit(json.dumps(value, indent=2, allow_nan=False))


# --- cells -----------------------------------------------------------------------------------------------------


def words(value: object) -> str:
    """Return any text as a cell."""
    return NOTHING if value is None or value == "" else visible(str(value))


def listed(values: Iterable[str]) -> str:
    """Return names as one cell."""
    return words(", ".join(values))


def amount(count: int | None) -> str:
    """Return bytes: ``1.2 MB`` for people, digits in a pipe."""
    if count is None:
        return NOTHING
    if not on_terminal():
        return str(count)
    import humanize

    return humanize.naturalsize(count)


def short(digest: str | None) -> str:
    """Return a digest: enough of it to tell it apart for people, all of it in a pipe."""
    return words(digest[:16] if digest is not None and on_terminal() else digest)


def moment(text: str) -> str:
    """Return a time: ``3 minutes ago`` or a date for people, as it is stored in a pipe."""
    return _ago(text) if on_terminal() else words(text)


def _ago(text: str) -> str:
    import humanize

    try:
        then = datetime.fromisoformat(text)
    except ValueError:  # somebody else wrote the row
        return words(text)
    age = datetime.now(UTC) - then
    return humanize.naturaltime(age) if abs(age) < _WEEK else then.astimezone().date().isoformat()


def both(text: str) -> str:
    """Return a time as people say it and as it is stored; in a pipe only the latter."""
    return f"{_ago(text)} ({words(text)})" if on_terminal() else words(text)


def took(run: RunRecord) -> str:
    """Return how long a run took: ``3m04s`` for people, seconds in a pipe."""
    if run.ended_at is None:
        return NOTHING
    try:
        seconds = (datetime.fromisoformat(run.ended_at) - datetime.fromisoformat(run.started_at)).total_seconds()
    except (ValueError, TypeError):  # somebody else wrote the row
        return NOTHING
    return span(seconds) if on_terminal() else f"{seconds:.3f}"


def span(seconds: float) -> str:
    """Return a duration as people say it.

    Example:
        >>> span(0.25), span(184), span(7500), span(200_000)
        ('0.2s', '3m04s', '2h05m', '2d07h')
    """
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 (a minute)
        return f"{seconds:.1f}s"
    if whole < 3600:  # noqa: PLR2004 (an hour)
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:  # noqa: PLR2004 (a day)
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def lifetime(seconds: int | None) -> str:
    """Return a time to live as ``lineage ttl`` takes it, exact; nothing for one that is for good.

    Example:
        >>> lifetime(30 * 86400), lifetime(5400), lifetime(61)
        ('30d', '90m', '61s')
    """
    if seconds is None:
        return ""
    unit, length = next((unit, length) for unit, length in _LENGTHS if seconds % length == 0)
    return f"{seconds // length}{unit}"


def json_cell(value: JsonValue) -> str:
    """Return JSON data as a cell: text bare, numbers short for people, media by what they are, all else as JSON."""
    if isinstance(value, dict) and "_type" in value:
        place = f" in {value['artifact']}" if "artifact" in value else ""
        return visible(f"<{value['_type']}{place}>")
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, float) and on_terminal():
        return f"{value:.4g}"
    return visible(json_text(value))


def pairs(data: Mapping[str, JsonValue]) -> str:
    """Return JSON data as one cell: ``iou=0.41 loss=0.3``; long values are cut, and ``_step`` and the like left out."""
    shown = {key: json_cell(value) for key, value in data.items() if not key.startswith("_")}
    return " ".join(f"{visible(key)}={_cut(text)}" for key, text in shown.items()) or NOTHING


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE or not on_terminal() else text[: _LONGEST_VALUE - 1] + "…"


def counted(count: int, noun: str) -> str:
    """Return a number and its noun.

    Example:
        >>> counted(1, "file"), counted(1200, "file")
        ('1 file', '1,200 files')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# --- tables ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column of a table: its title, how to show a thing in it, and whether people may see it shortened."""

    title: str
    show: Callable[[T], str]
    right: bool = False
    shrinks: bool = False


def emit_table(columns: Sequence[Column[T]], items: Iterable[T], empty: str = "") -> None:
    """Write a table; of nothing, nothing at all, and on a terminal a word about it."""
    rows = [[column.show(item) for column in columns] for item in items]
    if rows:
        emit("\n".join(table_lines(columns, rows)))
    elif empty:
        note(empty)


def table_lines(columns: Sequence[Column[T]], rows: list[list[str]], indent: int = 0) -> list[str]:
    """Return the lines of a table, its titles first."""
    from tabulate import tabulate

    if on_terminal():
        columns, rows = _without_empty(columns, rows)
        rows = _fitted(columns, rows, width() - indent)
    titles = [column.title for column in columns]
    align = ["right" if column.right else "left" for column in columns]
    # The titles are a row like any other: as headers, tabulate would make each column two wider than its title
    text = tabulate([titles, *rows], tablefmt="plain", colalign=align, disable_numparse=True)
    head, *lines = [line.rstrip() for line in text.splitlines()]
    return [bold(head), *lines]


def _without_empty(columns: Sequence[Column[T]], rows: list[list[str]]) -> tuple[list[Column[T]], list[list[str]]]:
    """Leave out what no row has a value for."""
    kept = [i for i in range(len(columns)) if any(row[i] != NOTHING for row in rows)]
    return [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _fitted(columns: Sequence[Column[T]], rows: list[list[str]], room: int) -> list[list[str]]:
    """Cut cells of the columns that may shrink until a row fits; the widest column gives first."""
    widths = [max(len(column.title), *(len(row[i]) for row in rows)) for i, column in enumerate(columns)]
    least = [
        max(len(column.title), _SHORTEST_CELL) if column.shrinks else widths[i] for i, column in enumerate(columns)
    ]
    over = sum(widths) + 2 * (len(widths) - 1) - room
    while over > 0:
        place = max(range(len(widths)), key=lambda i: widths[i] - least[i])
        if widths[place] <= least[place]:
            break
        widths[place] -= 1
        over -= 1
    return [[cut(cell, widths[i]) for i, cell in enumerate(row)] for row in rows]


def cut(text: str, most: int) -> str:
    """Return the text in at most so many characters, the last an ellipsis if it was longer."""
    return text if len(text) <= most else text[: most - 1] + "…"


def bold(text: str) -> str:
    """Return the text in bold, on a terminal that may have colours."""
    coloured = on_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(text, bold=True) if coloured else text


# --- pages -----------------------------------------------------------------------------------------------------


def emit_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Write names and values below each other; what has no value is left out."""
    known = [(name, value) for name, value in facts if value not in ("", NOTHING)]
    column = max((len(name) for name, _ in known), default=0) + 2
    for name, value in known:
        first, *others = value.split("\n")
        emit(name.ljust(column) + first)
        for line in others:
            emit(" " * column + line)


def prose(text: str | None) -> str:
    """Return words of several lines for :func:`emit_facts`."""
    return "\n".join(visible(line) for line in (text or "").splitlines())


def emit_section(title: str, lines: Sequence[str], most: int | None = None) -> None:
    """Write a title with indented lines below it; nothing if there are none.

    Args:
        title: What the lines are.
        lines: Ready to be printed.
        most: For people, only the first so many.
    """
    if lines:
        shown = lines if most is None or not on_terminal() else lines[:most]
        emit("\n" + bold(title))
        emit("\n".join("  " + line for line in [*shown, *_left_out(len(lines) - len(shown))]))


def section_table(title: str, columns: Sequence[Column[T]], items: Sequence[T], most: int | None = None) -> None:
    """Write a title with a table below it, as :func:`emit_section` does."""
    shown = items if most is None or not on_terminal() else items[:most]
    rows = [[column.show(item) for column in columns] for item in shown]
    lines = table_lines(columns, rows, indent=2) if rows else []
    emit_section(title, [*lines, *_left_out(len(items) - len(shown))])


def _left_out(count: int) -> list[str]:
    return [f"… {count:,} more; --all shows them"] if count else []


# --- progress --------------------------------------------------------------------------------------------------


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[int], None] | None]:
    """Show how many bytes are done on stderr, if that is a terminal; give what is to be told of them.

    Args:
        label: What is being done.
        total: All bytes, if it is known.
    """
    if not sys.stderr.isatty():
        yield None
        return
    import humanize

    done = 0

    def shown(_: object) -> str:
        return humanize.naturalsize(done)

    unknown = (None for _ in ()) if total is None else None  # a generator: of an empty list the length is known
    steps = max(1, (total or _UPDATES << 20) // _UPDATES)
    with click.progressbar(
        unknown, length=total, label=label, file=sys.stderr, item_show_func=shown, update_min_steps=steps
    ) as bar:

        def tell(count: int) -> None:
            nonlocal done
            done += count
            bar.update(count)

        yield tell
