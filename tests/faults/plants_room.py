"""Bugs where something runs out: errors that are lost, raw or without a place, and files that stay."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from plants import plant

from lineage.errors import LineageError


@contextmanager
def _nothing(*_: object, **__: object) -> Iterator[None]:
    yield


@plant("lineage.blobs:BlobFolder.put")
def bytes_that_find_no_place_are_not_told(put: Callable[..., None]) -> object:
    def swallowing(self: object, staged: object) -> None:
        with suppress(LineageError):
            put(self, staged)

    return swallowing


@plant("lineage.download:storage_errors")
def errors_of_the_disk_pass_raw(_: object) -> object:
    return _nothing


@plant("lineage.database:translated")
def errors_of_sqlite_pass_raw(_: object) -> object:
    return _nothing


@plant("lineage.system:storage_error")
def errors_name_no_path(error: Callable[..., LineageError]) -> object:
    return lambda cause, _action, _path=None: error(OSError(cause.errno, cause.strerror), "cannot write")


@plant("lineage.upkeep.collection:_Collection._free_files")
def gc_needs_room_to_make_room(_: object) -> object:
    return lambda _: 0


@plant("lineage.portable.draft:_discard")
def a_pack_that_fails_leaves_its_draft(_: object) -> object:
    return lambda _: None


@plant("lineage.store:create_database")
def a_creation_that_fails_leaves_its_draft(_: object) -> object:
    from lineage.connections import _build, _publish
    from lineage.system import storage_errors, unique_name
    from lineage.translation import translated

    def create(path: Path, build: Callable[..., None]) -> None:
        draft = path.with_name(f".{path.name}.{unique_name()}.tmp")
        with translated(draft), storage_errors(f"cannot create project {str(path)!r}"):
            _build(draft, build)
            _publish(draft, path)
            draft.unlink()

    return create


@plant("lineage.download:_write")
def a_download_that_fails_leaves_its_file(_: object) -> object:
    from lineage.staging import copy_hashed

    def write(folder: int, name: str, source: Any, *_: object) -> None:
        temporary = f".{os.urandom(4).hex()}.lineage-download"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o666, dir_fd=folder), "wb") as target:  # noqa: PTH123 (relative to a descriptor)
            copy_hashed(source, target.write)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)

    return write


@plant("lineage.statements.artifacts:insert_artifact")
def the_name_is_committed_before_the_version(insert: Callable[..., int]) -> object:
    def inserted(connection: Any, *words: object, **how: object) -> int:
        key = insert(connection, *words, **how)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        return key

    return inserted
