"""Hypothesis strategies for what people give: names, paths, trees, references, small graphs."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

NAME_SIGNS = string.ascii_letters + string.digits + "_-."

artifact_names = st.text(NAME_SIGNS, min_size=1, max_size=128)

_printable = st.characters(
    exclude_categories=("Cs", "Cc", "Cf", "Co", "Cn", "Zl", "Zp", "Zs"), exclude_characters="/:@"
)

aliases = st.text(_printable, min_size=1, max_size=40).filter(
    lambda text: not (text[0] in "vV" and text[1:].isdecimal())
)

tags = st.lists(
    st.text(string.ascii_letters + string.digits + "_-äß漢", min_size=1, max_size=12), min_size=1, max_size=4
).map(" ".join)

_part_signs = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\")
_odd_parts = st.sampled_from(
    ("a", "A", "b", "ä", "a\u0308", "…", "...", ".hidden", "-rf", " ", " lead", "trail ", "with space", "'\"$(x)`",
     "漢字", "e\u0301\u200d", "CON", "nul.txt", "a|b?*", "\u202etxt", "x" * 255, "é" * 127, "%2e%2e", "~", "#", "lock",
     "spool")
)  # fmt: skip
path_parts = (
    st.one_of(_odd_parts, st.text(_part_signs, min_size=1, max_size=20))
    .filter(lambda part: part not in (".", ".."))
    .filter(lambda part: not (part[0].isascii() and part[0].isalpha() and part[1:2] == ":"))
)
entry_paths = st.lists(path_parts, min_size=1, max_size=4).map("/".join)

contents = st.one_of(
    st.binary(max_size=40),
    st.sampled_from((b"", b"same", b"\0" * 16_384, b"large" * 4_000, bytes(range(256)) * 80)),
)


def without_clashes(tree: dict[str, T]) -> dict[str, T]:
    """Return the files of a tree that are not folders of others."""
    folders = {"/".join(path.split("/")[:depth]) for path in tree for depth in range(1, path.count("/") + 1)}
    return {path: content for path, content in tree.items() if path not in folders}


def trees(max_size: int = 8) -> st.SearchStrategy[dict[str, bytes]]:
    """Return a strategy for file trees: path to content."""
    return st.dictionaries(entry_paths, contents, max_size=max_size).map(without_clashes)


@dataclass(frozen=True)
class Step:
    """A run of a random graph: the places of the versions it consumes, and how many it produces."""

    consumed: tuple[int, ...]
    produced: int


@st.composite
def dags(draw: st.DrawFn, max_runs: int = 10) -> list[Step]:
    """Draw the steps of a random lineage; each consumes only what earlier ones produced, or version 0."""
    steps: list[Step] = []
    versions = 1
    for _ in range(draw(st.integers(1, max_runs))):
        consumed = draw(st.lists(st.integers(0, versions - 1), max_size=4, unique=True))
        produced = draw(st.integers(0, 3))
        steps.append(Step(tuple(consumed), produced))
        versions += produced
    return steps
