"""Whether the rows of a project agree with each other and with the rules of the format.

Each check is one read of its own; listings are read some parts at a time, so that writers get their turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from sqlite3 import Connection
from typing import Final

from lineage.errors import LineageError
from lineage.graph import Key, path_names
from lineage.jsondata import parse_object
from lineage.manifests import case_twins, folded, manifest_digest, part_digest
from lineage.records import Entry
from lineage.statements import checks, content
from lineage.store import Store
from lineage.upkeep.collection import bounded
from lineage.upkeep.problems import Problem, ProblemKind, Severity, guarded
from lineage.values import LATEST, alias_name, entry_path, known_name, run_id

_UID: Final = re.compile(r"[0-9a-hjkmnp-tv-z]{26}", re.ASCII)
_PARTS_AT_ONCE: Final = 200
_ENTRIES_AT_ONCE: Final = 10_000
_RUNS_AT_ONCE: Final = 10_000
"""What one read or statement looks at: some 50 ms in which no writer can commit."""
_SHOWN: Final = 5


def row_problems(store: Store) -> Iterator[Problem]:
    """Yield what is wrong with the rows, all but whether bytes are what their digests say."""
    for what, check in _CHECKS:
        yield from guarded(ProblemKind.DATABASE, what, lambda check=check: _read(store, check))  # type: ignore[misc]
    yield from guarded(ProblemKind.DATABASE, "the parts of listings", lambda: _part_problems(store))
    yield from guarded(ProblemKind.DATABASE, "the listings of versions", lambda: _listing_problems(store))


def _read(store: Store, check: Callable[[Connection], Iterable[Problem]]) -> Iterator[Problem]:
    with store.database.read() as connection:
        yield from check(connection)


def _integrity(connection: Connection) -> Iterator[Problem]:
    for line in checks.integrity_check(connection):
        yield Problem(ProblemKind.DATABASE, "the project file", line)


def _foreign_keys(connection: Connection) -> Iterator[Problem]:
    for (table, parent), count in checks.foreign_key_violations(connection).items():
        message = f"{count} rows of {table} name rows of {parent} that are not there"
        yield Problem(ProblemKind.FOREIGN_KEY, table, message)


def _numbers(connection: Connection) -> Iterator[Problem]:
    for found in checks.wrong_numberings(connection):
        numbers = checks.numbers(connection, found.artifact)
        missing = list(islice(_gaps(numbers, found.next_number), _SHOWN))
        what = f"{', '.join(missing)} missing" if missing else f"v{numbers[-1]} is there"
        message = f"{found.name} goes on with v{found.next_number}, but {what}"
        yield Problem(ProblemKind.NUMBERING, found.name, message)


def _gaps(numbers: list[int], end: int) -> Iterator[str]:
    for before, after in pairwise([-1, *numbers, max(end, *numbers, 0) if numbers else end]):
        if after - before == 2:  # noqa: PLR2004 (one number lies between)
            yield f"v{before + 1}"
        elif after - before > 1:
            yield f"v{before + 1} to v{after - 1}"


def _uids(connection: Connection) -> Iterator[Problem]:
    for whose, uid in checks.uids(connection):
        if not _UID.fullmatch(uid):
            yield Problem(ProblemKind.UID, whose, f"{whose} has {uid!r} as its uid, which lineage never makes")


_NAMES: Final[dict[str, Callable[[object], str]]] = {"artifact": known_name, "run": run_id, "alias": alias_name}


def _names(connection: Connection) -> Iterator[Problem]:
    for what, name in checks.names(connection):
        try:
            _NAMES[what](name)
        except LineageError as error:
            yield Problem(ProblemKind.NAME, name, f"{what} {name!r} breaks the rules of names: {error}")


def _left_behind(connection: Connection) -> Iterator[Problem]:
    for reference in checks.versions_left_behind(connection):
        message = f"{reference} is not deleted, but its artifact is"
        yield Problem(ProblemKind.DELETION, reference, message, (reference,))


def _aliases(connection: Connection) -> Iterator[Problem]:
    for found in checks.misplaced_aliases(connection):
        why = "another artifact's version" if found.elsewhere else "a deleted version"
        message = f"{found.name}:{found.alias} names {found.target}, {why}"
        yield Problem(ProblemKind.ALIAS_TARGET, f"{found.name}:{found.alias}", message)


def _latest(connection: Connection) -> Iterator[Problem]:
    for _, name in checks.artifacts_without_latest(connection):
        yield Problem(ProblemKind.LATEST_MISSING, f"{name}:{LATEST}", f"{name} has versions, but no alias 'latest'")


def _alias_history(connection: Connection) -> Iterator[Problem]:
    for found in checks.aliases_out_of_step(connection):
        message = f"{found.name}:{found.alias} does not point where its history ends"
        yield Problem(ProblemKind.ALIAS_HISTORY, f"{found.name}:{found.alias}", message)


def _links(connection: Connection) -> Iterator[Problem]:
    for reference, fault in checks.wrong_links(connection):
        yield Problem(ProblemKind.LINK, reference, f"{reference} {fault}", (reference,))


def _foreign_versions(connection: Connection) -> Iterator[Problem]:
    for reference, fault in checks.wrong_foreign_versions(connection):
        yield Problem(ProblemKind.FOREIGN_VERSION, reference, f"{reference} belongs to another project, but {fault}")


def _documents(connection: Connection) -> Iterator[Problem]:
    for whose, column, text in checks.documents(connection):
        try:
            parse_object(text)
        except LineageError as error:
            yield Problem(ProblemKind.JSON, whose, f"{column} of {whose}: {error}")
    for run, name, step in checks.broken_metrics(connection):
        message = f"metric {name!r} of run {run} at step {step} is not JSON"
        yield Problem(ProblemKind.JSON, f"run {run}", message)


def _own_inputs(connection: Connection) -> Iterator[Problem]:
    for run, reference in checks.own_inputs(connection):
        message = f"run {run} both produced and consumed {reference}"
        yield Problem(ProblemKind.OWN_INPUT, run, message, (reference,))


def _cycles(connection: Connection) -> Iterator[Problem]:
    """Yield a problem for each knot of runs that feed each other, with one cycle of it.

    Runs that nobody feeds are peeled off until none is left; then what remains lies on a cycle or downstream of
    one. Only a count per run is held, 100 MB for a million runs.
    """
    left = checks.fed_counts(connection)
    ready = [run for run in checks.feeding_runs(connection) if run not in left]
    while ready:
        some, ready = ready[-_RUNS_AT_ONCE:], ready[:-_RUNS_AT_ONCE]
        for run in checks.fed_runs(connection, some):
            left[run] -= 1
            if not left[run]:
                del left[run]
                ready.append(run)
    for cycle in _knots(connection, left):
        names = path_names(connection, cycle)
        message = f"these feed each other: {' -> '.join([*names, names[0]])}"
        versions = tuple(name for key, name in zip(cycle, names, strict=True) if key.kind == "version")
        yield Problem(ProblemKind.CYCLE, names[0], message, versions)


def _knots(connection: Connection, left: dict[int, int]) -> Iterator[list[Key]]:
    """Yield cycles in the direction of the edges: upstream from each run that is left, until one comes again."""
    seen: set[int] = set()
    for start in sorted(left):
        trail: dict[int, int] = {}
        run = start
        while run not in seen:
            seen.add(run)
            producer, version = next(found for found in checks.feeders(connection, run) if found[0] in left)
            trail[run] = version
            run = producer
        if run in trail:
            runs = list(trail)
            upstream = [key for one in runs[runs.index(run) :] for key in (Key("run", one), Key("version", trail[one]))]
            yield upstream[::-1]


_CHECKS: Final[tuple[tuple[str, Callable[[Connection], Iterable[Problem]]], ...]] = (
    ("the project file", _integrity),
    ("foreign keys", _foreign_keys),
    ("version numbers", _numbers),
    ("uids", _uids),
    ("names", _names),
    ("deleted artifacts", _left_behind),
    ("aliases", _aliases),
    ("latest", _latest),
    ("the history of aliases", _alias_history),
    ("links", _links),
    ("versions of other projects", _foreign_versions),
    ("JSON", _documents),
    ("inputs of runs", _own_inputs),
    ("cycles", _cycles),
)


def _part_problems(store: Store) -> Iterator[Problem]:
    """Look at every part, once, however many versions share it; also those of no version, which a log may reuse."""
    last: int | None = 0
    while last is not None:
        with store.database.read() as connection:
            parts = checks.parts_after(connection, last, _PARTS_AT_ONCE)
            for key, digest, columns in parts:
                found = list(_entry_problems(columns, digest))
                versions = tuple(checks.references_of_part(connection, key)) if found else ()
                for kind, message in found:
                    yield Problem(kind, f"part {digest}", message, versions)
        last = parts[-1][0] if parts else None


def _entry_problems(columns: Iterable[tuple[object, ...]], digest: str) -> Iterator[tuple[ProblemKind, str]]:
    try:
        entries = [checks.entry_of(row) for row in columns]
    except LineageError as error:
        yield ProblemKind.JSON, f"an entry of part {digest}: {error}"
        return
    if part_digest(entries) != digest:
        yield ProblemKind.PART_DIGEST, f"the entries of part {digest} are not those that were logged"
    for entry in entries:
        try:
            if entry_path(entry.path) != entry.path:
                yield ProblemKind.PATH, f"path {entry.path!r} is not in its normal form"
        except LineageError as error:
            yield ProblemKind.PATH, str(error)


def _listing_problems(store: Store) -> Iterator[Problem]:
    last: int | None = 0
    while last is not None:
        with store.database.read() as connection:
            manifests = content.manifests_after(connection, last, _PARTS_AT_ONCE)
        for some in bounded(manifests, lambda manifest: manifest[2], _ENTRIES_AT_ONCE):
            # A large listing is read in pieces, and only in one read where it may be wrong: between two reads it
            # can be deleted and logged again. Small ones share a read, as a connection costs 0.4 ms.
            if len(some) > 1 or any(_listing_problem(store, *some[0])):
                with store.database.read():
                    found = [problem for manifest in some for problem in _listing_problem(store, *manifest)]
                yield from found
        last = manifests[-1][0] if manifests else None


def _listing_problem(store: Store, manifest: int, digest: str, file_count: int, size: int) -> Iterator[Problem]:
    listing = Listing()
    try:
        recomputed: str = manifest_digest(listing.watch(listed(store, manifest)))
    except LineageError as error:
        recomputed = str(error)
    found = list(listing.faults())
    if recomputed != digest:
        found.append((ProblemKind.MANIFEST_DIGEST, "its files are not those that were logged"))
    if (listing.files, listing.size) != (file_count, size):
        message = f"it has {listing.files} files of {listing.size} bytes, and its row says {file_count} of {size}"
        found.append((ProblemKind.MANIFEST_COUNTS, message))
    if listing.twins and (twins := _twins(store, manifest, listing)):
        found.append((ProblemKind.PORTABLE_NAMES, twins))
    if not found:
        return
    with store.database.read() as connection:
        versions = tuple(content.references_of_manifest(connection, manifest))
    if versions:  # else they were deleted meanwhile
        for kind, what in found:
            severity: Severity = "warning" if kind is ProblemKind.PORTABLE_NAMES else "error"
            yield Problem(kind, digest, f"{versions[0]}: {what}", versions, severity)


def listed(store: Store, manifest: int) -> Iterator[Entry]:
    """Yield the entries of a manifest, some parts at a time.

    Raises:
        CorruptionError: An entry's row cannot be read.
    """
    last: int | None = -1
    while last is not None:
        with store.database.read() as connection:
            places = checks.places_after(connection, manifest, last, _PARTS_AT_ONCE)
            columns = checks.entries_between(connection, manifest, places[0], places[-1]) if places else []
        yield from map(checks.entry_of, columns)
        last = places[-1] if len(places) == _PARTS_AT_ONCE else None


@dataclass(slots=True)
class Listing:
    """What one pass over the entries of a manifest finds: a hash for each path is all that is held.

    Attributes:
        files: How many there are.
        size: Their bytes.
        disorder: A path that does not come after the one before it.
        clash: A path below one that is a file.
        twins: Hashes of what paths are to a case-insensitive file system, where two may be the same.
    """

    files: int = 0
    size: int = 0
    disorder: str | None = None
    clash: str | None = None
    twins: set[int] = field(default_factory=set)
    _seen: set[int] = field(default_factory=set)
    _last: str = ""
    _above: list[str] = field(default_factory=list)

    def watch(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield the entries and note what they show."""
        for entry in entries:
            self.files += 1
            self.size += entry.size or 0
            self._place(entry.path)
            mark = hash(folded(entry.path))
            (self.twins if mark in self._seen else self._seen).add(mark)
            yield entry

    def _place(self, path: str) -> None:
        """Compare a path with those before it; in sorted order all that begin alike stand together."""
        if path <= self._last:
            self.disorder = self.disorder or path
        self._last = path
        while self._above and not path.startswith(self._above[-1]):
            self._above.pop()
        if any(path.startswith("/", len(one)) for one in self._above):
            self.clash = self.clash or path
        self._above.append(path)

    def faults(self) -> Iterator[tuple[ProblemKind, str]]:
        """Yield what is wrong with the paths."""
        if self.disorder is not None:
            yield ProblemKind.PATH_ORDER, f"path {self.disorder!r} stands there twice or in the wrong place"
        if self.clash is not None:
            yield ProblemKind.PATH_CLASH, f"path {self.clash!r} lies below a file"


def _twins(store: Store, manifest: int, listing: Listing) -> str | None:
    """Say which paths are one to some file systems, in a second pass over the few whose hashes are alike."""
    alike = (entry.path for entry in listed(store, manifest) if hash(folded(entry.path)) in listing.twins)
    pairs = case_twins(alike)
    shown = ", ".join(f"{first!r} and {second!r}" for first, second in pairs[:_SHOWN])
    more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
    return f"paths are one where case or Unicode form do not count: {shown}{more}" if pairs else None
