"""Bugs about which file is worked on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plants import plant

from lineage.original import Original


@plant("lineage.original:Original.check")
def only_the_inode_is_compared(_: object) -> object:
    return lambda self, _connection, writing: self.check_place(writing=writing)


@plant("lineage.original:Original.check_place")
def only_the_id_is_compared(_: object) -> object:
    return lambda self, **_: None


@plant("lineage.store:original")
def the_file_is_remembered_by_its_path(_: object) -> object:
    class Anything(Original):
        def check_place(self, *, writing: bool) -> None:
            """Take any."""

        def check(self, connection: object, writing: bool) -> None:
            """Take any."""

    return lambda path, _: Anything(path, 0, 0, "")


@plant("lineage.original:_refuse_hard_links")
def hard_links_are_written_through(_: object) -> object:
    return lambda *_: None


@plant("lineage.original:_links_of_drafts")
def what_a_crash_left_counts_as_a_name(_: object) -> object:
    return lambda *_: 0


@plant("lineage.blobs:_refuse_link")
def links_in_the_store_are_followed(_: object) -> object:
    return lambda *_: None


@plant("lineage.connections:file_uri")
def paths_are_not_quoted(_: object) -> object:
    return lambda path: f"file:{path}"


@plant("lineage.store:note_own")
def the_project_is_not_known_by_its_inode(_: object) -> object:
    return lambda _: None


@plant("lineage.staging:copy_hashed")
def progress_goes_to_descriptor_one(copy: Callable[..., Any]) -> object:
    def loud(source: Any, write: Any, progress: Any = None) -> Any:
        found = copy(source, write, progress)
        os.write(1, b"copied\n")
        return found

    return loud


@plant("lineage.project:open_store")
def links_to_the_project_are_not_resolved(opened: Callable[..., Any]) -> object:
    def unresolved(path: Path, **how: Any) -> Any:
        store = opened(path, **how)
        from lineage.blobs import BlobFolder

        blobs = BlobFolder(path.with_suffix(".blobs"), timeout=how["timeout"])
        return type(store)(path, store.database, blobs, None)

    return unresolved
