"""Smaller media, and those that have no meaning without W&B's web pages: these say what to use instead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from lineage.jsondata import JsonObject
from lineage.wandb.errors import UnsupportedError
from lineage.wandb.sdk.data_types.base import Sink, Source, WBValue
from lineage.wandb.sdk.data_types.cells import decode, encode
from lineage.wandb.sdk.data_types.files import FileMedia, existing
from lineage.wandb.sdk.data_types.registry import register


@register
class Classes(WBValue):
    """The names of classes, for boxes and masks of images.

    Args:
        class_set: Dicts with ``id`` and ``name``.

    Raises:
        AssertionError: One of the two is missing; W&B's own error.

    Example:
        >>> Classes([{"id": 0, "name": "cat"}]).class_set
        [{'id': 0, 'name': 'cat'}]
    """

    log_type: ClassVar[str] = "classes"
    suffix: ClassVar[str] = ".classes.json"

    def __init__(self, class_set: Sequence[dict[str, Any]]) -> None:
        if not all("id" in item and "name" in item for item in class_set):
            raise AssertionError("each class needs an id and a name")
        self.class_set = [dict(item) for item in class_set]

    def to_json(self, sink: Sink) -> JsonObject:
        """Return the classes."""
        return {"_type": self.log_type, "class_set": encode(self.class_set, sink)}

    @classmethod
    def from_json(cls, data: dict[str, Any], source: Source) -> Self:
        """Return the classes again."""
        return cls(decode(data["class_set"], source))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Classes) and self.class_set == other.class_set

    def __hash__(self) -> int:
        return hash(len(self.class_set))


@register
class Audio(FileMedia):
    """A sound file, kept as it is.

    Args:
        data_or_path: The path of a file.
        sample_rate: Only for samples, which are not taken.
        caption: What stands below it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Samples without a sample rate; W&B's own error.
        UnsupportedError: Samples; write them to a file first.
    """

    log_type: ClassVar[str] = "audio-file"
    suffix: ClassVar[str] = ".audio-file.json"
    folder: ClassVar[str] = "media/audio"

    def __init__(self, data_or_path: str | Path, sample_rate: int | None = None, caption: str | None = None) -> None:
        if not isinstance(data_or_path, (str, Path)):
            if sample_rate is None:
                message = 'Argument "sample_rate" is required when instantiating wandb.Audio with raw data.'
                raise ValueError(message)
            raise UnsupportedError(
                "wandb.Audio takes the path of a file here; write the samples with soundfile.write first"
            )
        path = existing(data_or_path)
        super().__init__(path, path.suffix.removeprefix("."), caption)

    @classmethod
    def from_json(cls, data: dict[str, Any], source: Source) -> Self:
        """Return the sound again from its JSON and its file."""
        return cls(source.fetch(data["path"]), caption=data.get("caption"))


@register
class Video(FileMedia):
    """A film, kept as it is.

    Args:
        data_or_path: The path of a gif, mp4, webm or ogg file.
        caption: What stands below it.
        fps: Only for frames, which are not taken.
        format: Only for frames.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The name ends in something else; W&B's own error.
        UnsupportedError: Frames, or an open file; write them to a file first.
    """

    EXTS: ClassVar[tuple[str, ...]] = ("gif", "mp4", "webm", "ogg")
    log_type: ClassVar[str] = "video-file"
    suffix: ClassVar[str] = ".video-file.json"
    folder: ClassVar[str] = "media/videos"

    def __init__(
        self,
        data_or_path: str | Path,
        caption: str | None = None,
        fps: int | None = None,
        format: str | None = None,
    ) -> None:
        if not isinstance(data_or_path, (str, Path)):
            raise UnsupportedError(
                "wandb.Video takes the path of a file here; write the frames with imageio.mimwrite first"
            )
        extension = Path(data_or_path).suffix.removeprefix(".").lower()
        if extension not in self.EXTS:
            message = f"wandb.Video accepts {', '.join(self.EXTS)} formats"
            raise ValueError(message)
        super().__init__(existing(data_or_path), extension, caption)

    @classmethod
    def from_json(cls, data: dict[str, Any], source: Source) -> Self:
        """Return the film again from its JSON and its file."""
        return cls(source.fetch(data["path"]), caption=data.get("caption"))


class Unsupported(WBValue):
    """Base of what cannot be made here; the constructor says what to use instead.

    Example:
        >>> Molecule("protein.pdb")
        Traceback (most recent call last):
        lineage.wandb.errors.UnsupportedError: wandb.Molecule is not kept here; use artifact.add_file(path)
    """

    log_type: ClassVar[str] = "unsupported"
    instead: ClassVar[str] = "artifact.add_file(path)"

    def __init__(self, *_: object, **__: object) -> None:
        raise self._refusal()

    def to_json(self, sink: Sink) -> NoReturn:
        """Raise UnsupportedError."""
        raise self._refusal()

    @classmethod
    def from_json(cls, data: dict[str, Any], source: Source) -> NoReturn:
        """Raise UnsupportedError."""
        del data, source
        raise cls._refusal()

    @classmethod
    def _refusal(cls) -> UnsupportedError:
        return UnsupportedError(f"wandb.{cls.__name__} is not kept here; use {cls.instead}")


class Object3D(Unsupported):
    """A point cloud or a model in three dimensions; add its file."""

    log_type: ClassVar[str] = "object3D-file"


class Molecule(Unsupported):
    """A molecule; add its file."""

    log_type: ClassVar[str] = "molecule-file"


class Plotly(Unsupported):
    """A chart of plotly's."""

    log_type: ClassVar[str] = "plotly-file"
    instead: ClassVar[str] = "wandb.Html(figure.to_html())"


class Bokeh(Unsupported):
    """A chart of bokeh's."""

    log_type: ClassVar[str] = "bokeh-file"
    instead: ClassVar[str] = "wandb.Html(bokeh.embed.file_html(figure))"


class Graph(Unsupported):
    """The layers of a network."""

    log_type: ClassVar[str] = "graph-file"
    instead: ClassVar[str] = "a dict in run.config, or artifact.add_file(path) with the exported model"


class JoinedTable(Unsupported):
    """Two tables side by side."""

    log_type: ClassVar[str] = "joined-table"
    instead: ClassVar[str] = "wandb.Table(dataframe=first.get_dataframe().merge(second.get_dataframe(), on=key))"


class PartitionedTable(Unsupported):
    """Tables of a folder as one."""

    log_type: ClassVar[str] = "partitioned-table"
    instead: ClassVar[str] = "wandb.Table(dataframe=pandas.concat([part.get_dataframe() for part in parts]))"
