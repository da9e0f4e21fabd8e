"""Bugs that a kill, a power cut or a failing call shows."""

from __future__ import annotations

import io
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from plants import plant

from lineage.connections import copy_database

# --- shown by a kill ---


@plant("lineage.blobs:BlobFolder.put")
def bytes_written_under_their_final_name(_: Any) -> Any:
    """The file has its name and its size before it has its bytes: they pass for bytes that are stored already."""

    def put(self: Any, staged: Any) -> None:
        if not self.has(staged.digest, staged.size):
            target = self.path_of(staged.digest)
            target.parent.mkdir(exist_ok=True)
            with target.open("wb", buffering=0) as file:
                file.truncate(staged.size)
                file.write(staged.path.read_bytes())
                os.fsync(file.fileno())
            target.chmod(0o444)

    return put


@plant("lineage.upkeep.collection:_Collection._take_temporary")
def temporary_files_are_not_collected(_: Any) -> Any:
    """What the dead left in ``tmp`` stays for good."""
    return lambda self: None


@plant("lineage.handles:move_alias")
def alias_moved_in_two_transactions(move: Any) -> Any:
    """It is taken away in one, and put in its new place in another."""
    from lineage.aliases import remove_alias
    from lineage.statements import artifacts

    def moved(connection: Any, artifact: int, alias: str, version: int, mover: Any, **how: Any) -> None:
        if alias in artifacts.alias_names(connection, artifact, 100):
            remove_alias(connection, artifact, alias, mover, override=True)
            connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
        move(connection, artifact, alias, version, mover, **how)

    return moved


@plant("lineage.store:migrate")
def migration_in_two_transactions(migrate: Any) -> Any:
    """The number of the new format is there before its tables are."""

    def migrated(connection: Any, folder: Path) -> int:
        (old,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("PRAGMA user_version = 3")
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version = {old}")
        return int(migrate(connection, folder))

    return migrated


@plant("lineage.portable.packing:publish")
def pack_written_under_its_final_name(_: Any) -> Any:
    """The file that has the name is not whole yet."""

    def publish(draft: Path, target: Path, *, overwrite: bool) -> None:
        with target.open("wb", buffering=0) as file:
            data = draft.read_bytes()
            file.write(data[:5_000])
            file.write(data[5_000:])
            os.fsync(file.fileno())

    return publish


@plant("lineage.download:_write")
def download_written_under_its_final_name(_: Any) -> Any:
    """The file that has the name is not whole yet."""

    def write(folder: int, name: str, source: Any, entry: Any, progress: Any) -> None:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666, dir_fd=folder)
        with open(descriptor, "wb", buffering=0) as target:  # noqa: PTH123 (a descriptor)
            while data := source.read(1_000):
                target.write(data)

    return write


@plant("lineage.database:transaction")
def transaction_committed_statement_by_statement(_: Any) -> Any:
    """What is one call is there in part."""

    @contextmanager
    def transaction(connection: Any) -> Iterator[None]:
        yield

    return transaction


@plant("lineage.store:_keep_copy")
def copy_of_the_old_format_written_under_its_final_name(_: Any) -> Any:
    """Half of the file as it was passes for all of it, and is not made again."""
    return lambda path, copy: None if copy.exists() else copy_database(path, copy)


# --- shown by a power cut ---


@plant("lineage.blobs:make_read_only")
def bytes_not_synced(_: Any) -> Any:
    """A blob has its name before its bytes last."""
    return lambda path: path.chmod(0o444)


@plant("lineage.blobs:make_read_only")
def read_only_after_the_sync(_: Any) -> Any:
    """The mode of a blob does not last."""

    def make(path: Path) -> None:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.chmod(0o444)

    return make


@plant("lineage.blobs:BlobFolder.sync")
def names_of_blobs_not_synced(_: Any) -> Any:
    """The rows last, and the names of the files they stand for do not."""
    return lambda self, digests: None


@plant("lineage.connections:_configure")
def synchronous_off(configure: Any) -> Any:
    """SQLite leaves it to the system when its writes get to the disk."""

    def configured(connection: Any, path: Path, *, writing: bool) -> None:
        configure(connection, path, writing=writing)
        connection.execute("PRAGMA synchronous = OFF")

    return configured


@plant("lineage.connections:_publish")
def name_of_a_new_project_not_synced(_: Any) -> Any:
    """A project is there when it was made, and gone after the cut."""

    def publish(draft: Path, path: Path) -> None:
        os.link(draft, path)

    return publish


@plant("lineage.portable.packing:publish")
def pack_not_synced(_: Any) -> Any:
    """A packed file has its name before its bytes last."""

    def publish(draft: Path, target: Path, *, overwrite: bool) -> None:
        draft.rename(target)
        descriptor = os.open(target.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    return publish


@plant("lineage.connections:connect")
def journal_taken_for_litter(connect: Any) -> Any:
    """Who opens a project removes the journal that lies beside it, and with it what would be taken back."""

    def connected(path: Path, *, writing: bool, timeout: float) -> Any:
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        return connect(path, writing=writing, timeout=timeout)

    return connected


# --- shown by a failing call ---


@plant("lineage.blobs:make_read_only")
def error_of_a_sync_swallowed(make: Any) -> Any:
    """The call goes on as if the bytes were on the disk."""

    def made(path: Path) -> None:
        with suppress(OSError):
            make(path)

    return made


@plant("lineage.blobs:make_read_only")
def failed_sync_tried_again(make: Any) -> Any:
    """The second sync tells nothing of what the first one lost."""

    def made(path: Path) -> None:
        try:
            make(path)
        except OSError:
            make(path)

    return made


@plant("lineage.blobs:storage_errors")
def errors_of_the_system_come_out_raw(_: Any) -> Any:
    """Who catches LineageError does not catch them."""
    return lambda action: nullcontext()


@plant("lineage.portable.draft:_discard")
def temporary_folder_not_removed(_: Any) -> Any:
    """What was begun stays when it fails."""
    return lambda folder: None


@plant("lineage.newfile:_write_all")
def short_write_taken_for_a_whole_one(_: Any) -> Any:
    """The rest of the bytes is zeros."""
    return lambda file, data: file.write(data)


@plant("lineage.system:_let_go")
def lock_not_given_up(_: Any) -> Any:
    """The next call of the program waits for the last one's lock."""
    return lambda descriptor: None


@plant("lineage.staging:copy_hashed")
def work_given_up_at_a_signal(copy: Any) -> Any:
    """What came before the signal passes for all of it."""

    def copied(source: Any, write: Any, progress: Any = None) -> Any:
        pipe, end = os.pipe()
        os.set_blocking(end, False)
        signal.set_wakeup_fd(end, warn_on_full_buffer=False)
        try:
            interrupted = bool(select.select([pipe], [], [], 0.01)[0])
            return copy(io.BytesIO(source.read(1_000)) if interrupted else source, write, progress)
        finally:
            signal.set_wakeup_fd(-1)
            os.close(pipe)
            os.close(end)

    return copied


AT_CALLS = {
    bytes_written_under_their_final_name: ("log", ("write",)),
    temporary_files_are_not_collected: ("log", ("link", "linkat")),
    alias_moved_in_two_transactions: ("alias", ("ftruncate",)),
    migration_in_two_transactions: ("migrate", ("ftruncate", "unlink")),
    copy_of_the_old_format_written_under_its_final_name: ("migrate", ("pwrite64",)),
    pack_written_under_its_final_name: ("pack", ("write",)),
    download_written_under_its_final_name: ("download", ("write",)),
}
"""In which operation a kill shows them, and at which calls."""
AT_CUTS = {
    bytes_not_synced: "log",
    read_only_after_the_sync: "log",
    names_of_blobs_not_synced: "log",
    synchronous_off: "alias",
    name_of_a_new_project_not_synced: "create",
    pack_not_synced: "pack",
}
AT_FAILURES = {
    error_of_a_sync_swallowed: ("log", "broken", ("fsync",)),
    failed_sync_tried_again: ("log", "broken", ("fsync",)),
    errors_of_the_system_come_out_raw: ("log", "broken", ("rename",)),
    temporary_folder_not_removed: ("pack", "full", ("link",)),
    short_write_taken_for_a_whole_one: ("log", "short", ("write",)),
    lock_not_given_up: ("log", "broken", ("fsync",)),
}
