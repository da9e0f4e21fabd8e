"""Images: arrays, tensors, Pillow's images, figures and files, with boxes and masks on them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from numbers import Number
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from lineage.jsondata import JsonObject
from lineage.wandb.errors import Error, UnsupportedError
from lineage.wandb.sdk.data_types.base import Sink, Source
from lineage.wandb.sdk.data_types.cells import decode, encode
from lineage.wandb.sdk.data_types.files import FileMedia, existing, store
from lineage.wandb.sdk.data_types.optional import as_array, comes_from, found, is_instance, needed
from lineage.wandb.sdk.data_types.other import Classes
from lineage.wandb.sdk.data_types.registry import register

_FORMATS: Final = ["png", "jpg", "jpeg", "bmp"]
_DEEPEST: Final = 255


@register
class Image(FileMedia):
    """An image, kept as a file: PNG unless `file_type` says otherwise, a given file as it is.

    Arrays are height x width, or height x width x 1, 3 or 4; tensors of torch channel x height x width. Whole
    numbers count from 0 to 255. Floats between 0 and 1, or between -1 and 1, are scaled to that range, where W&B
    0.31 would draw them black; what lies outside of it is cut, where W&B lets it run over.

    Args:
        data_or_path: An array, a tensor, an image of Pillow's, a figure of matplotlib's, another Image, or the path
            of a file. Only a path needs no Pillow.
        mode: Pillow's mode, as ``"RGB"``; by default what the shape says.
        caption: What stands below it.
        grouping: A number that W&B groups images by.
        classes: The names of classes: :class:`Classes`, or dicts with ``id`` and ``name``.
        boxes: Sets of boxes by name: dicts with ``box_data`` and ``class_labels``.
        masks: Masks by name: dicts with ``mask_data``, an array, or ``path``, and ``class_labels``.
        file_type: ``png``, ``jpg``, ``jpeg`` or ``bmp``; nothing to a path.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The shape is no image's, or `file_type`, `boxes` or `masks` are not as they should be.
        TypeError: A box lacks what a box has.
        UnsupportedError: The path is a URL; use ``artifact.add_reference``.
        Error: Pillow is needed and not installed.

    Attributes:
        format: The file's format, as ``"png"``.
        grouping: The number given.
        boxes: The boxes given, as data.
        masks: The masks given; those read back have a ``path`` each.
        classes: The classes as dicts, or None.

    Example:
        >>> Image("https://example.com/cat.png")
        Traceback (most recent call last):
        lineage.wandb.errors.UnsupportedError: ...
    """

    MAX_ITEMS = 108
    MAX_DIMENSION = 65500
    log_type: ClassVar[str] = "image-file"
    suffix: ClassVar[str] = ".image-file.json"
    folder: ClassVar[str] = "media/images"

    def __init__(
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,
        classes: Classes | Sequence[dict[str, Any]] | None = None,
        boxes: dict[str, dict[str, Any]] | None = None,
        masks: dict[str, dict[str, Any]] | None = None,
        file_type: str | None = None,
    ) -> None:
        self._size: tuple[int, int] | None = None
        self.format: str
        self.grouping: int | None
        content: bytes | Path
        if isinstance(data_or_path, Image):
            content, self.format = data_or_path._content, data_or_path.format
            self._size = data_or_path._size
            caption = data_or_path.caption if caption is None else caption
            grouping = data_or_path.grouping if grouping is None else grouping
            classes = data_or_path.classes if classes is None else classes
        elif isinstance(data_or_path, (str, Path)):
            content = _local(data_or_path)
            self.format = content.suffix.removeprefix(".")
        else:
            self.format = file_type or "png"
            content = _drawn(data_or_path, mode, self.format)
        super().__init__(content, self.format, caption)
        self.grouping = grouping
        given = Classes([{"id": item["id"], "name": item["name"]} for item in _class_set(classes)])
        self.classes: list[dict[str, Any]] | None = given.class_set or None
        self.boxes = _checked_boxes(boxes)
        self.masks = _checked_masks(masks)

    @property
    def image(self) -> Any:
        """The image as Pillow's; read anew on each call.

        Raises:
            Error: It has more pixels than Pillow takes from a file; see its MAX_IMAGE_PIXELS.
        """
        pillow = needed("PIL.Image", "An image's pixels", "media")
        try:
            picture = pillow.open(io.BytesIO(self.read()))
            picture.load()
        except pillow.DecompressionBombError as error:
            raise Error(f"an image that Pillow does not open: {error}") from error
        return picture

    @property
    def width(self) -> int | None:
        """Its width in pixels; None for a file that Pillow is not there to read, or cannot."""
        return self._dimensions()[0]

    @property
    def height(self) -> int | None:
        """Its height in pixels; None as for the width."""
        return self._dimensions()[1]

    def to_data_array(self) -> list[Any]:
        """Return the pixels as nested lists, row by row."""
        pixels: list[Any] = needed("numpy", "An image's pixels", "media").asarray(self.image).tolist()
        return pixels

    def to_json(self, sink: Sink) -> JsonObject:
        """Add the file, and those of the masks, and return the JSON that names them."""
        details: dict[str, Any] = {
            "format": self.format,
            "width": self.width,
            "height": self.height,
            "grouping": self.grouping,
            "classes": encode(self.classes, sink),
            "boxes": encode(self.boxes, sink),
            "masks": self.masks and {name: _mask_json(mask, sink) for name, mask in self.masks.items()},
        }
        return {**super().to_json(sink), **{key: value for key, value in details.items() if value is not None}}

    @classmethod
    def from_json(cls, data: dict[str, Any], source: Source) -> Self:
        """Return the image again from its JSON and its files."""
        image = cls(
            source.fetch(data["path"]),
            caption=data.get("caption"),
            grouping=data.get("grouping"),
            classes=_classes_from_json(data.get("classes"), source),
            boxes=_boxes_from_json(data.get("boxes"), source),
            masks={name: _mask_from_json(mask, source) for name, mask in data.get("masks", {}).items()},
        )
        if "width" in data and "height" in data:
            image._size = (data["width"], data["height"])
        return image

    def _dimensions(self) -> tuple[int | None, int | None]:
        if self._size is None:
            pillow = found("PIL.Image")
            if pillow is None:
                return None, None
            try:
                with pillow.open(io.BytesIO(self.read())) as picture:
                    self._size = picture.size
            except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError):
                return None, None  # a drawing such as SVG, more pixels than Pillow takes, damage: kept all the same
        return self._size or (None, None)

    def _same(self) -> tuple[Any, ...]:
        return (*super()._same(), self.grouping, self.classes, self.boxes)


def _local(path: str | Path) -> Path:
    if "://" in str(path):
        message = f"wandb.Image of {path}: only local files; keep what lies elsewhere with artifact.add_reference"
        raise UnsupportedError(message)
    return existing(path)


def _drawn(data: Any, mode: str | None, file_type: str) -> bytes:
    """Return the bytes of the image file."""
    if file_type not in _FORMATS:
        message = f"file_type must be one of {_FORMATS}"
        raise ValueError(message)
    buffer = io.BytesIO()
    if comes_from(data, "matplotlib"):
        _figure(data).savefig(buffer, format=file_type)
        return buffer.getvalue()
    pillow = needed("PIL.Image", "wandb.Image of anything but a path", "media")
    if not is_instance(data, "PIL.Image", "Image"):
        pixels = _pixels(data)
        mode = mode or _guess_mode(pixels.shape, file_type)  # before Pillow, whose error says nothing of shapes
        data = pillow.fromarray(pixels).convert(mode)
    data.save(buffer, format="JPEG" if file_type == "jpg" else file_type.upper())
    return buffer.getvalue()


def _figure(thing: Any) -> Any:
    """Return the figure of what matplotlib hands out: itself, axes, ``pyplot``'s current one."""
    if hasattr(thing, "gcf"):
        return thing.gcf()
    figure = thing if hasattr(thing, "savefig") else getattr(thing, "figure", None)
    if not hasattr(figure, "savefig"):
        raise ValueError("Only matplotlib.pyplot or matplotlib.pyplot.Figure objects are accepted.")
    return figure


def _pixels(data: Any) -> Any:
    """Return an array of whole numbers from 0 to 255, height x width, or with channels behind."""
    numpy = needed("numpy", "wandb.Image of an array", "media")
    array = as_array(data)
    if array is None:
        message = f"wandb.Image takes an array, a tensor, a figure, an image or a path, not a {type(data).__name__}"
        raise TypeError(message)
    if comes_from(data, "torch") and array.ndim == 3:  # noqa: PLR2004 - torch has the channels first
        array = array.transpose(1, 2, 0)
    if array.ndim > 2:  # noqa: PLR2004 - axes of length one are no more than that
        array = array.squeeze()
    if array.ndim not in {2, 3}:
        message = f"Un-supported shape for image conversion {list(array.shape)}; one image at a time"
        raise ValueError(message)
    if array.dtype.kind == "b":
        array = array * float(_DEEPEST)
    elif array.dtype.kind == "f":
        known = array[numpy.isfinite(array)]
        if known.size and abs(known).max() <= 1:
            array = numpy.rint((array + 1) / 2 * _DEEPEST if known.min() < 0 else array * _DEEPEST)
    return numpy.nan_to_num(array, nan=0).clip(0, _DEEPEST).astype(numpy.uint8)


def _guess_mode(shape: tuple[int, ...], file_type: str) -> str:
    """Return Pillow's mode for a shape; JPEG knows no transparency."""
    channels = 1 if len(shape) == 2 else shape[-1]  # noqa: PLR2004 - no channels
    modes = {1: "L", 3: "RGB", 4: "RGB" if file_type in {"jpg", "jpeg"} else "RGBA"}
    if channels not in modes:
        message = f"Un-supported shape for image conversion {list(shape)}"
        raise ValueError(message)
    return modes[channels]


def _class_set(classes: Classes | Sequence[dict[str, Any]] | None) -> Sequence[dict[str, Any]]:
    return classes.class_set if isinstance(classes, Classes) else classes or []


def _checked_boxes(boxes: object) -> dict[str, dict[str, Any]] | None:
    if not boxes:
        return None
    if not isinstance(boxes, dict):
        raise ValueError('Images "boxes" argument must be a dictionary')  # noqa: TRY004 - W&B's own class
    for box_set in boxes.values():
        if not isinstance(box_set["box_data"], list):
            raise TypeError("Boxes must be a list")
        for box in box_set["box_data"]:
            _check_position(box.get("position", {}))
    return boxes


def _check_position(position: Mapping[str, Any]) -> None:
    middle = position.get("middle")
    centred = middle is not None and len(middle) == 2  # noqa: PLR2004 - x and y
    corners = ["width", "height"] if centred else ["minX", "maxX", "minY", "maxY"]
    if not all(isinstance(position.get(name, math.nan), Number) and name in position for name in corners):
        raise TypeError("Each box must contain a position with: middle, width, and height or minX, maxX, minY, maxY.")


def _checked_masks(masks: object) -> dict[str, dict[str, Any]] | None:
    if not masks:
        return None
    if not isinstance(masks, dict):
        raise ValueError('Images "masks" argument must be a dictionary')  # noqa: TRY004 - W&B's own class
    for mask in masks.values():
        if "path" in mask:
            existing(mask["path"])
        elif getattr(as_array(mask["mask_data"]), "ndim", 0) != 2:  # noqa: PLR2004 - an image's axes
            raise TypeError("mask_data must be a 2d array")
    return masks


def _mask_json(mask: dict[str, Any], sink: Sink) -> JsonObject:
    """Add a mask as a PNG file whose grey levels are the class ids, as W&B does."""
    content = existing(mask["path"]) if "path" in mask else _mask_png(as_array(mask["mask_data"]))
    stored = store(sink, f"{Image.folder}/mask", content, "mask.png")
    labels = {"class_labels": mask["class_labels"]} if "class_labels" in mask else {}
    return {"_type": "mask", **stored, **{key: encode(value, sink) for key, value in labels.items()}}


def _mask_png(array: Any) -> bytes:
    if array.size and not (array.min() >= 0 and array.max() <= _DEEPEST):
        raise ValueError("mask_data: class ids are whole numbers from 0 to 255")
    buffer = io.BytesIO()
    pillow = needed("PIL.Image", "A mask", "media")
    pillow.fromarray(array.astype("uint8")).convert("L").save(buffer, format="PNG")
    return buffer.getvalue()


def _classes_from_json(data: Any, source: Source) -> Any:
    """Return the classes: ours stand in the JSON, W&B's in a file."""
    if isinstance(data, dict):
        return json.loads(source.read(data["path"]))["class_set"]
    return decode(data, source)


def _boxes_from_json(data: Any, source: Source) -> Any:
    """Return the sets of boxes; W&B's JSON has the bare boxes."""
    boxes = decode(data, source)
    return boxes and {name: {"box_data": box} if isinstance(box, list) else box for name, box in boxes.items()}


def _mask_from_json(data: dict[str, Any], source: Source) -> dict[str, Any]:
    labels = {"class_labels": decode(data["class_labels"], source)} if "class_labels" in data else {}
    return {"path": str(source.fetch(data["path"])), **labels}
