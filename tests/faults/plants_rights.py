"""Bugs where rights are missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from plants import plant


@plant("lineage.store:at")
def a_project_is_taken_for_writable(at: Callable[..., Any]) -> object:
    return lambda path, blobs, **how: at(path, blobs, **{**how, "read_only": False})


@plant("lineage.store:note_own")
def opening_touches_the_file(note: Callable[[Path], None]) -> object:
    def noted(path: Path) -> None:
        note(path)
        if path.is_file():
            path.with_name(f"{path.name}-seen").touch()

    return noted


@plant("lineage.artifact:walk_statuses")
def what_cannot_be_read_is_left_out(walk: Callable[..., Iterator[Any]]) -> object:
    def walked(root: Path) -> Iterator[Any]:
        for path, inside, status in walk(root):
            try:
                Path(path).open("rb").close()
            except OSError:
                continue
            yield path, inside, status

    return walked


@plant("lineage.blobs:BlobFolder.open")
def files_that_are_read_stay_open(opened: Callable[..., Any]) -> object:
    def kept(self: Any, digest: Any) -> Any:
        found = opened(self, digest)
        os.dup(found.fileno())
        return found

    return kept
