"""The names of a run's own artifacts: its files, media, tables, and parts. No two of them ever share one."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final, Literal

from lineage.jsondata import json_text
from lineage.values import MAX_NAME
from lineage.wandb.util import make_artifact_name_safe

Kind = Literal["files", "media", "table"]
_DIGITS: Final = 8
_LIKE_A_DIGEST: Final = re.compile(rf"(.*-)?[0-9a-f]{{{_DIGITS}}}", re.DOTALL)
_PART: Final = ".part"


def own_name(run: str, kind: Kind, key: str = "") -> str:
    """Return the name of an artifact that a run makes by itself: ``run-<id>-files``, ``-<key>``, ``-media-<key>``.

    Where another run, kind or key could come to the same name, eight digits of a digest follow: for what no name may
    hold, for what is too long, and where it is not clear which dash ends the id.

    Example:
        >>> own_name("r1", "table", "predictions"), own_name("r1", "table", "val/predictions")
        ('run-r1-predictions', 'run-r1-val_predictions-3bf5e3da')
    """
    exact = f"run-{run}-" + {"files": "files", "media": f"media-{key}", "table": key}[kind]
    return _named(exact, json_text([run, kind, key]), plain=kind == "files" or _is_clear(run, kind, key))


def default_name(run: str, path_name: str) -> str:
    """Return what the artifact of a path is called where nothing is said: ``run-<id>-<file name>``, as in W&B."""
    exact = f"run-{run}-{path_name}"
    safe = make_artifact_name_safe(exact)
    return safe if safe != own_name(run, "files") else _named(exact, exact, plain=False)


def part_name(name: str) -> str:
    """Return the name of the parts of an artifact that several runs make."""
    return _named(f"{name}{_PART}", name)


def source_name(folder: str) -> str:
    """Return the name of the artifact of the source files in a folder."""
    return _named(f"source-{folder}", folder)


def _is_clear(run: str, kind: Kind, key: str) -> bool:
    """Whether a name can be read in one way only: names of files end so, and other ids have no dash."""
    return not (
        "-" in run
        or key == "files"
        or key.endswith("-files")
        or (kind == "table" and key.startswith("media-"))
        or _LIKE_A_DIGEST.fullmatch(key)
    )


def _named(exact: str, meant: str, *, plain: bool = True) -> str:
    safe = make_artifact_name_safe(exact)
    if plain and safe == exact:
        return safe
    digest = blake2b(meant.encode("utf-8", "surrogatepass"), digest_size=_DIGITS // 2).hexdigest()
    room = MAX_NAME - _DIGITS - 1
    if len(safe) > room:
        half = room // 2 - 1
        safe = f"{safe[:half]}..{safe[-half:]}"
    return f"{safe}-{digest}"
