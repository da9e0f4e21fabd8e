"""Bugs in what is taken from the disk."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from plants import plant

from lineage.errors import LineageError


@plant("lineage.system:_refuse_source")
def anything_that_opens_is_a_file(_: object) -> object:
    return lambda *_: None


@plant("lineage.staging:_same_state")
def a_file_is_not_compared_after_it_was_read(_: object) -> object:
    return lambda *_: True


@plant("lineage.system:is_own")
def the_project_is_data_like_any(_: object) -> object:
    return lambda _: False


@plant("lineage.artifact:walk_statuses")
def what_cannot_be_logged_is_left_out(walk: Callable[..., Iterator[Any]]) -> object:
    def walked(root: Path) -> Iterator[Any]:
        with suppress(LineageError):
            yield from walk(root)

    return walked


@plant("lineage.artifact:entry_path")
def names_are_normalised(check: Callable[..., str]) -> object:
    return lambda path: unicodedata.normalize("NFC", check(path)).casefold()


@plant("lineage.artifact:entry_path")
def names_that_are_no_text_are_mended(check: Callable[..., str]) -> object:
    return lambda path: check(path.encode("utf-8", "replace").decode() if isinstance(path, str) else path)


@plant("lineage.staging:copy_hashed")
def zeros_at_the_end_are_dropped(copy: Callable[..., Any]) -> object:
    """As a copy that keeps holes may."""

    def copied(source: Any, write: Any, progress: Any = None) -> Any:
        def wrote(data: bytes) -> None:
            if write is not None and data.strip(b"\0"):
                write(data)

        return copy(source, wrote, progress)

    return copied
