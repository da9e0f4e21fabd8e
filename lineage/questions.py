"""What one can ask a project: lists, lookups, walks, differences, and SQL."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from lineage import comparison, graph
from lineage.errors import ErrorKind, InvalidInputError, NotFoundError
from lineage.graph import Key
from lineage.handles import Run, Version, load_runs, load_versions
from lineage.listing import Listing
from lineage.recording import resolve_version
from lineage.records import AliasEvent, ArtifactRecord, Location, Node, SearchHit, Stale
from lineage.relations import Direction, Handle, Keep, extract_graph, related
from lineage.run import ActiveRun
from lineage.staging import copy_hashed
from lineage.staleness import find_stale
from lineage.statements import artifacts, content, lists, runs
from lineage.store import Store, find_artifact, find_run, find_version
from lineage.system import open_source
from lineage.values import (
    Reference,
    alias_name,
    file_path,
    is_digest_prefix,
    is_encodable,
    known_name,
    listed,
    moment,
    shown,
)

if TYPE_CHECKING:
    import sqlite_utils

    from lineage.graph import Graph

AnyVersion: TypeAlias = str | Reference | Version
AnyNode: TypeAlias = str | Reference | Version | Run | ActiveRun
Order: TypeAlias = str | Sequence[str] | None
_REFUSED_SQL = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_RANGE}
_MOST = 2**63 - 1
"""The largest number SQLite takes."""
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


class Questions:
    """The half of a project that only reads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self, run: str) -> Run:
        """Return a run by its id, its name, or the first digits of its id.

        Raises:
            NotFoundError: There is none.
            InvalidInputError: Several runs bear the name; the message lists their ids.
        """
        with self._store.database.read() as connection:
            key = find_run(connection, _text(run, "run"))
            return load_runs(self._store, [key])[0]

    def runs(  # noqa: PLR0913 (each narrows the list, all but the first by keyword)
        self,
        where: Mapping[str, object] | None = None,
        *,
        job_type: str | None = None,
        status: str | None = None,
        group: str | None = None,
        tags: Iterable[str] | str | None = None,
        consumed: AnyVersion | None = None,
        produced: AnyVersion | None = None,
        order: Order = None,
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> Listing[Run]:
        """Return the runs that pass, oldest first.

        Args:
            where: A filter such as ``{"config.lr": {"$gt": 0.01}}``; README.md has the language and its keys.
            job_type: Only of this job type.
            status: Only in this state.
            group: Only of this group.
            tags: Only with all of these.
            consumed: Only those that consumed this version.
            produced: Only the one that produced this version.
            order: A key, or several, each with ``-`` for falling, as in ``"-summary.iou"``; missing values come last.
            limit: At most so many.
            include_deleted: Deleted ones too.

        Raises:
            InvalidInputError: The filter or the order is wrong; the message names the key or operator.
            NotFoundError: There is no such version.
        """
        query = lists.Query(
            lists.RUN_FIELDS, _with(where, job_type=job_type, status=status, group=group, tags=tags), order
        )
        if not include_deleted:
            query.add("r.deleted_at IS NULL", {})

        with self._store.database.read() as connection:
            if consumed is not None:
                version = resolve_version(connection, self._store, consumed, deleted=True)
                query.add("r.id IN (SELECT c.run FROM consumed c WHERE c.version = :consumed)", {"consumed": version})
            if produced is not None:
                version = resolve_version(connection, self._store, produced, deleted=True)
                query.add("r.id IN (SELECT p.run FROM produced p WHERE p.version = :produced)", {"produced": version})

        def find() -> Sequence[int]:
            with self._store.database.read() as connection:
                return lists.run_ids(connection, query)

        return _listing(find, lambda keys: load_runs(self._store, keys), limit)

    def version(
        self, reference: str | Reference, *, as_of: datetime | str | None = None, include_deleted: bool = False
    ) -> Version:
        """Return the one version a reference names: ``name``, ``name:alias``, ``name:v3`` or ``name@digest``.

        Args:
            reference: Which.
            as_of: Resolve an alias as it stood then; a naive datetime is local time.
            include_deleted: A deleted version too; its content is gone, its lineage is not.

        Raises:
            NotFoundError: There is none, or it was deleted.
            InvalidInputError: It is no reference, or a digest prefix that fits several contents.
        """
        parsed = reference if isinstance(reference, Reference) else Reference.parse(reference)
        at = None if as_of is None else moment(as_of, "as_of")
        with self._store.database.read() as connection:
            key = find_version(connection, parsed, at, deleted=include_deleted)
            return load_versions(self._store, [key])[0]

    def version_by_uid(self, uid: str) -> Version:
        """Return the version with this uid, whatever its artifact is called by now, also a deleted one.

        Raises:
            NotFoundError: There is none.
        """
        with self._store.database.read() as connection:
            key = artifacts.version_by_uid(connection, _text(uid, "uid"))
        if key is None:
            raise NotFoundError(f"no version with the uid {shown(uid)}", kind=ErrorKind.VERSION_NOT_FOUND)
        return load_versions(self._store, [key])[0]

    def versions(  # noqa: PLR0913 (each narrows the list, all but the first by keyword)
        self,
        where: Mapping[str, object] | None = None,
        *,
        artifact: str | None = None,
        type: str | None = None,
        alias: str | None = None,
        tags: Iterable[str] | str | None = None,
        order: Order = None,
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> Listing[Version]:
        """Return the versions that pass, oldest first. Arguments and errors as for :meth:`runs`.

        Links in collections are among them, and what is known of other projects: ``{"link_to": None}`` and
        ``{"project": None}`` leave those out.
        """
        query = lists.Query(
            lists.VERSION_FIELDS, _with(where, name=artifact, type=type, aliases=alias, tags=tags), order
        )
        if not include_deleted:
            query.add("v.deleted_at IS NULL OR a.project IS NOT NULL", {})

        def find() -> Sequence[int]:
            with self._store.database.read() as connection:
                return lists.version_ids(connection, query)

        return _listing(find, lambda keys: load_versions(self._store, keys), limit)

    def artifact(self, name: str) -> ArtifactRecord:
        """Return what is known about an artifact.

        Raises:
            NotFoundError: There is none of this name.
        """
        with self._store.database.read() as connection:
            key = find_artifact(connection, known_name(name))
            return artifacts.artifact_records(connection, [key])[0]

    def artifacts(
        self,
        where: Mapping[str, object] | None = None,
        *,
        type: str | None = None,
        order: Order = None,
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> Listing[ArtifactRecord]:
        """Return the artifacts that pass, by name. Arguments and errors as for :meth:`runs`."""
        query = lists.Query(lists.ARTIFACT_FIELDS, _with(where, type=type), order)
        if not include_deleted:
            query.add("a.deleted_at IS NULL OR a.project IS NOT NULL", {})

        def find() -> Sequence[int]:
            with self._store.database.read() as connection:
                return lists.artifact_ids(connection, query)

        def load(keys: Sequence[int]) -> list[ArtifactRecord]:
            with self._store.database.read() as connection:
                return artifacts.artifact_records(connection, keys)

        return _listing(find, load, limit)

    def types(self) -> list[str]:
        """Return the types of the artifacts."""
        with self._store.database.read() as connection:
            return lists.types(connection)

    def job_types(self) -> list[str]:
        """Return the job types of the runs."""
        with self._store.database.read() as connection:
            return lists.job_types(connection)

    def alias_history(self, reference: str) -> list[AliasEvent]:
        """Return every move of an alias, ``"name:alias"``, oldest first; of a bare name, of all its aliases.

        Raises:
            NotFoundError: There is no such artifact, or it never had the alias.
        """
        name, colon, alias = _text(reference, "reference").partition(":")
        with self._store.database.read() as connection:
            artifact = find_artifact(connection, known_name(name))
            events = artifacts.alias_events(connection, artifact, alias_name(alias) if colon else None)
            if colon and not events and artifacts.version_by_alias(connection, name, alias) is None:
                raise NotFoundError(f"{name!r} never had an alias {alias!r}", kind=ErrorKind.ALIAS_NOT_FOUND)
            return events

    def node(self, node: AnyNode) -> Run | Version:
        """Return what a text names: with ``:`` or ``@`` a version, else a run, else the newest of an artifact.

        Also what was deleted, of which the lineage is there; a name stands for what lives, if anything living has it.

        Raises:
            NotFoundError: Nothing.
            InvalidInputError: Both a run and an artifact, or several runs.
        """
        if isinstance(node, Run | Version):
            return node
        if isinstance(node, ActiveRun):
            return self.run(node.id)
        if isinstance(node, Reference) or ":" in _text(node, "node") or "@" in node:
            return self.version(node, include_deleted=True)
        return self._bare_node(node)

    def _bare_node(self, text: str) -> Run | Version:
        with self._store.database.read() as connection:
            row = artifacts.artifact_row(connection, text)
            is_artifact = row is not None and row[2] is None
            is_run = runs.is_run(connection, text)
        if is_artifact and not is_run:
            return self.version(text)
        try:
            with self._store.database.read() as connection:
                run = load_runs(self._store, [find_run(connection, text, deleted=True)])[0]
        except NotFoundError as error:
            message = f"no run and no artifact {shown(text)}; 'lineage ls' shows what there is"
            raise NotFoundError(message) from error
        if is_artifact:
            message = f"{text!r} is a run and an artifact: write '{text}:latest', or the run's id {run.id}"
            raise InvalidInputError(message, kind=ErrorKind.REFERENCE_AMBIGUOUS)
        return run

    def _key(self, node: AnyNode) -> Key:
        handle: Handle = self.node(node)
        if handle._store.path != self._store.path:  # noqa: SLF001 (handles are ours)
            raise InvalidInputError(f"{handle!r} belongs to another project")
        return handle.live_key()

    def ancestors(
        self,
        node: AnyNode,
        *,
        depth: int | None = None,
        kind: Literal["run", "version"] | None = None,
        types: Iterable[str] | None = None,
        job_types: Iterable[str] | None = None,
    ) -> list[Node]:
        """Return all that lies upstream of a run or version, nearest first; see :meth:`Version.ancestors`."""
        keep = Keep.of(kind, types, job_types)
        return related(self._store, self._key(node), up=True, depth=depth, keep=keep)

    def descendants(
        self,
        node: AnyNode,
        *,
        depth: int | None = None,
        kind: Literal["run", "version"] | None = None,
        types: Iterable[str] | None = None,
        job_types: Iterable[str] | None = None,
    ) -> list[Node]:
        """Return all that lies downstream of a run or version, nearest first; see :meth:`Version.ancestors`."""
        keep = Keep.of(kind, types, job_types)
        return related(self._store, self._key(node), up=False, depth=depth, keep=keep)

    def depends_on(self, node: AnyNode, other: AnyNode) -> bool:
        """Return whether `other` lies upstream of `node`; nothing depends on itself."""
        with self._store.database.read() as connection:
            start, goal = self._key(other), self._key(node)
            return start != goal and graph.is_upstream(connection, start, goal)

    def path(self, node: AnyNode, other: AnyNode) -> list[Node]:
        """Return a shortest chain of edges from `node` to `other`, down- or upstream; empty if there is none."""
        with self._store.database.read() as connection:
            start, goal = self._key(node), self._key(other)
            found = graph.find_path(connection, start, goal)
            if found is None:
                found = list(reversed(graph.find_path(connection, goal, start) or []))
            return graph.path_nodes(connection, found)

    def common_ancestors(self, node: AnyNode, other: AnyNode) -> list[Node]:
        """Return what lies upstream of both, nearest first; depths are to the nearer of the two."""
        with self._store.database.read() as connection:
            keys = self._key(node), self._key(other)
            first, second = (graph.walk(connection, [key], up=True).without([key]) for key in keys)
            return graph.nodes(connection, graph.common(first, second))

    def graph(
        self,
        *nodes: AnyNode,
        direction: Direction = "both",
        depth: int | None = None,
        collapse: Literal["type", "name"] | None = None,
    ) -> Graph:
        """Return a networkx DiGraph of what lies around some nodes, or of everything; README.md has its attributes.

        Args:
            nodes: Where to begin; none for the whole project.
            direction: ``"up"``, ``"down"`` or ``"both"``.
            depth: At most so many edges away.
            collapse: Merge runs by job type, and versions by artifact type or name.
        """
        keys = [self._key(node) for node in nodes]
        return extract_graph(self._store, keys, direction=direction, depth=depth, collapse=collapse)

    def diff(self, old: AnyVersion, new: AnyVersion) -> comparison.Comparison:
        """Return what changed between two versions: files, metadata, config and code of their runs, and upstream.

        Raises:
            NotFoundError: One of them is not there, or was deleted.
        """
        with self._store.database.read() as connection:
            before, after = (resolve_version(connection, self._store, one) for one in (old, new))
            return comparison.compare(connection, before, after)

    def stale(self) -> list[Stale]:
        """Return the newest versions made from what has a newer version now, directly or further upstream.

        What must be run again, and why: each names the nearest run upstream, or its own, that used something old, what
        that used, and what ``latest`` names today. What lies between that run and the version is to be run again after
        it; of a step that was, the run after it is named, which used its older output. A newer version that itself came
        from the run does not count against it, and what a deleted run used is no reason.
        """
        with self._store.database.read() as connection:
            return find_stale(connection)

    def search(self, text: str, *, limit: int = 50) -> list[SearchHit]:
        """Return names, notes and descriptions that hold all of the words, whatever their case, newest first.

        Raises:
            InvalidInputError: There is no word.
        """
        words = _text(text, "search").split()
        if not words:
            raise InvalidInputError("search: give at least one word")
        most = min(_checked_limit(limit), _MOST)
        with self._store.database.read() as connection:
            return lists.search(connection, words, most)

    def whereis(self, file: str | os.PathLike[str]) -> list[Location]:
        """Return the versions and paths that hold the bytes of a local file, or of a digest or its first 8 digits.

        Raises:
            InvalidInputError: It is neither a file nor a digest, or several digests begin so.
        """
        path = file_path(file, "digest, and no path of a file", kind=ErrorKind.SOURCE_INVALID)
        beginning = str(file)
        if not is_digest_prefix(beginning) or path.exists():
            with open_source(path) as source:
                beginning, _ = copy_hashed(source, None)
        with self._store.database.read() as connection:
            digests = content.digests_from(connection, beginning)
            if len(digests) > 1:
                message = f"{beginning!r} begins several digests ({', '.join(digests)}): give more digits"
                raise InvalidInputError(message, kind=ErrorKind.REFERENCE_AMBIGUOUS)
            return [place for digest in digests for place in content.locations(connection, digest)]

    def sql(self, query: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[dict[str, Any]]:
        """Return the rows of one SELECT over the documented views, as dicts; schema/README.md lists them.

        Raises:
            InvalidInputError: The SQL is wrong, is not one statement that only reads, or a parameter does not fit.

        Example:
            >>> import lineage, tempfile
            >>> project = lineage.open(tempfile.mkdtemp() + "/p.lineage")
            >>> project.sql("SELECT count(*) AS n FROM runs")
            [{'n': 0}]
        """
        with self._store.database.read() as connection, _only_reading(connection):
            cursor = connection.execute(_text(query, "SQL"), parameters)
            names = [column[0] for column in cursor.description or ()]
            if not names:
                raise InvalidInputError("SQL: there is no SELECT in it", kind=ErrorKind.SQL_INVALID)
            if twice := [name for name in names if names.count(name) > 1]:
                message = f"SQL: two columns are called {twice[0]!r}; give one another name with AS"
                raise InvalidInputError(message, kind=ErrorKind.SQL_INVALID)
            return [dict(zip(names, row, strict=True)) for row in cursor]

    @contextmanager
    def db(self) -> Iterator[sqlite_utils.Database]:
        """Give a sqlite-utils Database over the project, which only reads, for the block."""
        import sqlite_utils  # noqa: PLC0415 (140-250 ms, and 1.5 s where pandas is installed)

        with (
            self._store.database.read() as connection,
            _query_only(connection),
            _errors_of_sql(),
            _same_transaction(connection),
        ):
            yield sqlite_utils.Database(connection, execute_plugins=False)


def _listing(find: Any, load: Any, limit: int | None) -> Listing[Any]:  # noqa: ANN401 (typed by its callers)
    if limit is None:
        return Listing(find, load)
    checked = _checked_limit(limit)
    return Listing(lambda: find()[:checked], load)


def _checked_limit(limit: int) -> int:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise InvalidInputError(f"limit {shown(limit)}: give a whole number, 0 or more")
    return limit


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or "\0" in value or not is_encodable(value):
        raise InvalidInputError(f"{what} {shown(value)}: give text")
    return value


def _with(
    where: Mapping[str, object] | None, *, tags: Iterable[str] | str | None = None, **equal: object
) -> Mapping[str, object]:
    """Return the filter and the conditions given by keyword as one filter."""
    conditions: list[object] = [{key: value} for key, value in equal.items() if value is not None]
    conditions += [{"tags": tag} for tag in (() if tags is None else listed(tags, "tags"))]
    if where is not None:
        conditions.append(where)
    return {"$and": conditions} if conditions else {}


@contextmanager
def _query_only(connection: sqlite3.Connection) -> Iterator[None]:
    """Keep a block from writing, also where it shares the connection of a batch."""
    (before,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = ON")
    try:
        yield
    finally:
        if not before:
            connection.execute("PRAGMA query_only = OFF")


@contextmanager
def _same_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Keep a block from ending the transaction it lies in, which may be a batch's, and from letting itself write."""

    def allows(action: int, name: str | None, value: str | None, *_: object) -> int:
        unlocks = action == sqlite3.SQLITE_PRAGMA and name == "query_only" and value is not None
        return sqlite3.SQLITE_DENY if unlocks or action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK

    connection.set_authorizer(allows)
    try:
        yield
    finally:
        connection.set_authorizer(None)


@contextmanager
def _only_reading(connection: sqlite3.Connection) -> Iterator[None]:
    """Let only SELECT through."""
    connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY)
    try:
        with _errors_of_sql():
            yield
    finally:
        connection.set_authorizer(None)


@contextmanager
def _errors_of_sql() -> Iterator[None]:
    """Turn what SQLite says about a user's SQL into an error about that SQL."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.Warning, OverflowError, UnicodeError) as error:
        raise InvalidInputError(f"SQL: {error}", kind=ErrorKind.SQL_INVALID) from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF not in _REFUSED_SQL:
            raise
        raise InvalidInputError(f"SQL: {error}; only one SELECT is let through", kind=ErrorKind.SQL_INVALID) from error
