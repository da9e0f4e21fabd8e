"""Pages of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self, TextIO

from lineage.wandb.sdk.data_types.base import Source
from lineage.wandb.sdk.data_types.files import FileMedia, existing
from lineage.wandb.sdk.data_types.registry import register


@register
class Html(FileMedia):
    """A page, kept byte for byte.

    Args:
        data: HTML as text, the path of a file whose name ends in ``.html``, or an open text file.
        inject: Taken for W&B's sake. W&B adds a link to its own style sheet on the Web; here nothing is added, so
            that a page reads the same without a network.
        data_is_not_path: Take text as HTML even if a file of that name exists.

    Raises:
        ValueError: `data` is none of these.

    Example:
        >>> Html("<h1>Hello</h1>").html
        '<h1>Hello</h1>'
    """

    log_type: ClassVar[str] = "html-file"
    suffix: ClassVar[str] = ".html-file.json"
    folder: ClassVar[str] = "media/html"

    def __init__(
        self,
        data: str | Path | TextIO,
        inject: bool = True,
        data_is_not_path: bool = False,
    ) -> None:
        content: bytes | Path
        if not data_is_not_path and _is_page(data):
            content = existing(data)  # type: ignore[arg-type]  # _is_page says that it is a path
        elif isinstance(data, str):
            content = data.encode()
        elif hasattr(data, "read"):
            if hasattr(data, "seek"):
                data.seek(0)
            content = data.read().encode()
        else:
            raise ValueError("data must be a string or an io object")
        super().__init__(content, "html")

    @property
    def html(self) -> str:
        """The page's text."""
        return self.read().decode()

    @classmethod
    def from_json(cls, data: dict[str, Any], source: Source) -> Self:
        """Return the page again from its JSON and its file."""
        return cls(source.fetch(data["path"]))


def _is_page(data: object) -> bool:
    if not isinstance(data, (str, Path)):
        return False
    try:
        return Path(data).suffix == ".html" and Path(data).is_file()
    except (OSError, ValueError):  # a page as text is too long for a name, or holds what no name can
        return False
