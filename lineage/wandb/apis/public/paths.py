"""Where the paths of W&B's API lead: ``[entity/]project``, ``[entity/][project/]run``, and the URLs of both."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from lineage.store import SUFFIX
from lineage.wandb.errors import CommError
from lineage.wandb.places import Place


def split_url(home: Place, path: str) -> tuple[Place, str]:
    """Return where a path is to be looked for, and the path there.

    A URL that ``.url`` gave is the project file with a name in it; of W&B's own URLs the path counts.

    Raises:
        CommError: It is the URL of something else.
    """
    url = urlsplit(path)
    if "://" in path and url.scheme in ("http", "https"):
        return home, unquote(url.path)
    if "://" not in path or url.scheme != "file":
        return home, path
    file = Path(unquote(url.path))
    if file.suffix != SUFFIX:
        raise CommError(f"{path!r} is no project: the name of its file ends in {SUFFIX!r}")
    return Place(file.parent, file.stem, home.entity), unquote(url.fragment)


def project_place(home: Place, path: str | None) -> Place:
    """Return the project that ``[entity/]project`` means; the one of `home` where nothing is said.

    Raises:
        UsageError: No project may be called so.
    """
    place, text = split_url(home, path or "")
    *entity, project = text.strip("/ ").split("/", 1)
    return place.beside(project, entity[0] if entity else None)


def run_place(home: Place, path: str) -> tuple[Place, str]:
    """Return the project and the id that the path of a run means.

    It is ``id``, ``project/id``, ``entity/project/id`` or ``entity/project/runs/id``; a colon may stand before the
    id in the place of the last slash.

    Raises:
        ValueError: It is none of these.
    """
    place, text = split_url(home, path)
    parts = [part.strip() for part in text.replace("/runs/", "/").strip("/ ").split("/")]
    if len(parts) <= 2 and ":" in parts[-1]:  # noqa: PLR2004 (entity/project:id)
        parts[-1:] = parts[-1].split(":", 1)
    if len(parts) > 3 or not all(parts):  # noqa: PLR2004 (entity, project, id)
        raise ValueError(f"Invalid path: {path!r}")
    identifier, project, entity = [*reversed(parts), None, None][:3]
    return place.beside(project, entity), str(identifier)
