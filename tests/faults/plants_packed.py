"""Bugs of opening, merging and filling from files of others."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from plants import plant

from lineage.content import DraftEntry, open_blob, put_bytes
from lineage.records import Entry


def nothing(*_: object, **__: object) -> None:
    """Look at nothing."""


# --- files opened where they lie ---


@plant("lineage.statements.content:_entry")
def path_of_a_row_is_believed(_: Any) -> Any:
    """Join to a folder whatever a row has for a path."""
    return lambda row: Entry(row[0], row[1], row[2], row[3], bool(row[4]), {}, row[6])


@plant("lineage.handles:usual_folder")
def name_of_a_row_is_believed(_: Any) -> Any:
    """Join to a folder whatever a row has for a name."""
    return lambda parent, name, end: parent / f"{name}{end}"


@plant("lineage.store:check_schema")
def schema_is_not_compared_at_opening(_: Any) -> Any:
    """Open a file with tables and triggers of its maker's."""
    return nothing


@plant("lineage.statements.runs:_STATUSES")
def status_of_a_row_is_believed(known: Any) -> Any:
    """Take any status for one that is known."""

    class Trusting(dict[str, object]):
        def get(self, key: str, default: object = None) -> object:
            return known[key]

    return Trusting(known)


@plant("lineage.connections:check_journal")
def journals_are_believed(_: Any) -> Any:
    """Let SQLite obey whatever lies beside a file."""
    return lambda path: False


@plant("lineage.blobs:Digest.parse")
def digest_of_a_row_is_believed(_: Any) -> Any:
    """Let any text be a digest, and so a path below the blob folder."""
    return classmethod(lambda cls, text: str.__new__(cls, str(text)))


# --- files merged ---


@plant("lineage.portable.foreign:_seal_problems")
def seal_is_not_compared(_: Any) -> Any:
    """Believe the rows whatever the seal says."""
    return lambda connection: []


@plant("lineage.portable.foreign:check_schema")
def schema_is_not_compared(_: Any) -> Any:
    """Merge from a file with other tables."""
    return nothing


@plant("lineage.portable.foreign:_check_header")
def header_is_not_looked_at(_: Any) -> Any:
    """Take over as many bytes as there are."""
    return lambda file, source: os.fstat(file.fileno()).st_size


@plant("lineage.connections:_format_of")
def format_is_not_looked_at(_: Any) -> Any:
    """Read a file whatever it says that it is."""
    return lambda connection, path: 3


@plant("lineage.portable.foreign:_status")
def links_and_devices_are_followed(_: Any) -> Any:
    """Ask what a name leads to, and take anything."""
    return lambda source: source.stat()


@plant("lineage.portable.foreign:_private_copy")
def file_is_read_where_it_lies(_: Any) -> Any:
    """Trust that nobody changes it, and that no journal is beside it."""

    def make(source: Path, *_: object) -> Path:
        return source

    return make


@plant("lineage.portable.foreign:_limited")
def limits_are_not_kept(_: Any) -> Any:
    """Take what comes."""
    return nothing


@plant("lineage.portable.foreign:cell_problems")
def cells_are_not_looked_at(_: Any) -> Any:
    """Believe the cells."""
    return lambda connection: []


@plant("lineage.portable.foreign:row_problems")
def rows_are_not_compared(_: Any) -> Any:
    """Believe that the rows agree with each other."""
    return lambda store: []


@plant("lineage.values:_PLAIN_PATH")
def any_path_is_plain(_: Any) -> Any:
    """Let every path pass."""
    return re.compile(r".*", re.DOTALL)


@plant("lineage.portable.merging:find_cycle")
def cycles_are_not_looked_for(_: Any) -> Any:
    """Join two graphs whatever they become."""
    return lambda plan, ours, theirs: ()


@plant("lineage.portable.plan:_contradiction")
def versions_of_one_uid_are_one(_: Any) -> Any:
    """Take the word of a uid."""
    return lambda mine, row: None


def _trusting(store: Any, theirs: Any, blobs: Any, ahead: Any, progress: Any) -> None:
    staging = store.blobs.new_staging()
    entries = []
    with theirs.database.read():
        for digest, size in blobs:
            with open_blob(theirs.database, theirs.blobs, digest, size, verified=False) as source:
                staged = staging.stage(source)
            staged = type(staged)(digest, size, staged.path, staged.offset, staged.data)
            entries.append(DraftEntry(Entry(digest, digest, size), staged))
    put_bytes(store.blobs, ahead, entries, staging)
    with store.writing() as connection:
        ahead.drain(connection)


@plant("lineage.portable.merging:take_over")
def bytes_are_not_hashed_on_their_way_in(_: Any) -> Any:
    """Store bytes under the digest that the other file says they have."""
    return _trusting


@plant("lineage.portable.filling:take_over")
def bytes_are_not_hashed_when_filled_in(_: Any) -> Any:
    """Do so where bytes are filled in."""
    return _trusting


@plant("lineage.portable.packing:_move_out")
def bytes_are_not_hashed_when_unpacked(_: Any) -> Any:
    """Write bytes under the digest that their row says they have."""

    def move(store: Any, blob: Any, progress: Any) -> None:
        staging = store.blobs.new_staging()
        with open_blob(store.database, store.blobs, blob.digest, blob.size, verified=False) as source:
            staged = staging.stage(source)
        store.blobs.put(type(staged)(blob.digest, staged.size, staged.path))

    return move


@plant("lineage.portable.merging:_checked_plan")
def references_are_followed(kept: Any) -> Any:
    """See whether what a file refers to is there."""

    def plan(ours: Any, theirs: Any, policies: Any) -> Any:
        import socket

        socket.socket().close()
        return kept(ours, theirs, policies)

    return plan


@plant("lineage.portable.foreign:_check_file")
def copy_is_made_beside_theirs(kept: Any) -> Any:
    """Note beside their file that it was looked at."""

    def check(path: Path, source: Path, limits: Any) -> None:
        source.with_name("seen").write_text("seen")
        kept(path, source, limits)

    return check
