"""The helpers of ``wandb.util`` that scripts call."""

from __future__ import annotations

import re
import secrets
import string
from typing import Final

from lineage.values import MAX_NAME

_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9_\-.]")
_SIGNS: Final = string.ascii_lowercase + string.digits


def generate_id(length: int = 8) -> str:
    """Return a random id of letters and digits, from the operating system: ``random.seed()`` does not repeat it.

    Example:
        >>> len(generate_id())
        8
    """
    return "".join(secrets.choice(_SIGNS) for _ in range(length))


def make_artifact_name_safe(name: str) -> str:
    """Return a name an artifact may bear: foreign characters become ``_``, a long one loses its middle.

    Example:
        >>> make_artifact_name_safe("run-1-my model")
        'run-1-my_model'
    """
    clean = _FOREIGN.sub("_", name)
    half = MAX_NAME // 2 - 1
    return clean if len(clean) <= MAX_NAME else f"{clean[:half]}..{clean[-half:]}"


def alias_is_version_index(alias: str) -> bool:
    """Whether an alias reads as a version: ``v`` and digits.

    Example:
        >>> alias_is_version_index("v12"), alias_is_version_index("v1-rc")
        (True, False)
    """
    return len(alias) >= 2 and alias[0] == "v" and alias[1:].isnumeric()  # noqa: PLR2004 (a letter and a digit)


def to_forward_slash_path(path: str) -> str:
    """Return a path with slashes, whatever the system uses."""
    return path.replace("\\", "/")
