"""Media of the W&B face: what comes back is what went in, and what cannot be kept says what to use instead."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from wandb_drawer import Drawer

import lineage.wandb.data_types as wandb
from lineage.jsondata import json_text
from lineage.wandb.errors import Error, UnsupportedError
from lineage.wandb.sdk.data_types.base import WBValue
from lineage.wandb.sdk.data_types.files import digest_of
from lineage.wandb.sdk.data_types.registry import SUFFIXES, by_type
from lineage.wandb.sdk.data_types.values import loggable, summary_value

numpy = pytest.importorskip("numpy")
pillow = pytest.importorskip("PIL.Image")

BOX = {"position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4}, "class_id": 1, "scores": {"iou": 0.5}}
CENTRED = {"position": {"middle": [5, 5], "width": 2, "height": 2}, "domain": "pixel"}


@pytest.fixture
def drawer(tmp_path: Path) -> Drawer:
    """An artifact's files."""
    return Drawer(tmp_path / "artifact")


def there_and_back(value: WBValue, drawer: Drawer) -> Any:
    """Store a value as strict JSON and files, and read it again by its ``_type``."""
    data = json.loads(json_text(value.to_json(drawer)))
    cls = by_type(data["_type"])
    assert cls is type(value)
    return cls.from_json(data, drawer)


def pixel(image: wandb.Image, place: tuple[int, int] = (0, 0)) -> object:
    """Return one pixel of an image."""
    return image.image.getpixel(place)


def png(color: str = "red") -> bytes:
    """Return the bytes of a PNG file of 3 x 2 pixels."""
    buffer = io.BytesIO()
    pillow.new("RGB", (3, 2), color).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """The path of an image file."""
    path = tmp_path / "cat.png"
    path.write_bytes(png())
    return path


class FakeTensor:
    """What torch's tensors have in common with what is asked of them."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def detach(self) -> FakeTensor:
        return self

    def cpu(self) -> FakeTensor:
        return self

    def numpy(self) -> Any:
        return self._array


FakeTensor.__module__ = "torch"


def foreign(package: str, **attributes: object) -> object:
    """Return an object of a class of a package that is not installed."""
    return type("Figure", (), {"__module__": f"{package}.figure", **attributes})()


@pytest.mark.parametrize(
    ("shape", "mode"),
    [((2, 3), "L"), ((2, 3, 1), "L"), ((2, 3, 3), "RGB"), ((2, 3, 4), "RGBA"), ((1, 2, 3, 3), "RGB")],
)
def test_image_of_an_array_has_the_mode_of_its_shape(shape: tuple[int, ...], mode: str) -> None:
    """Height comes first, then width, then channels; axes of length one count for nothing."""
    image = wandb.Image(numpy.zeros(shape, "uint8"))

    assert (image.image.mode, image.width, image.height, image.format) == (mode, 3, 2, "png")


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (numpy.uint8(200), 200),
        (numpy.int64(300), 255),
        (numpy.float64(0.5), 128),
        (numpy.float32(1.0), 255),
        (numpy.float64(-1.0), 0),
        (numpy.float64(127.0), 127),
        (numpy.float64(math.nan), 0),
        (numpy.True_, 255),
    ],
    ids=repr,
)
def test_image_scales_floats_and_bools(value: Any, level: int) -> None:
    """Floats within [-1, 1] and bools are scaled to 0..255, other numbers are cut to it."""
    assert pixel(wandb.Image(numpy.full((1, 1), value))) == level


def test_image_of_floats_around_zero_has_zero_in_the_middle() -> None:
    """Floats between -1 and 1 go to 0..255 by a rule that is the same for all images."""
    image = wandb.Image(numpy.array([[-0.5, 0.0], [0.5, 1.0]]))

    assert image.to_data_array() == [[64, 128], [191, 255]]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: wandb.Image(numpy.zeros((2, 2, 5))), ValueError, "Un-supported shape"),
        (lambda: wandb.Image(numpy.zeros((2, 2, 2, 3))), ValueError, "one image at a time"),
        (lambda: wandb.Image(numpy.zeros((2, 2)), file_type="gif"), ValueError, "file_type must be one of"),
        (lambda: wandb.Image([[1, 2]]), TypeError, "not a list"),
        (lambda: wandb.Image("missing.png"), FileNotFoundError, "missing.png"),
        (lambda: wandb.Image("s3://bucket/cat.png"), UnsupportedError, "add_reference"),
        (lambda: wandb.Image(numpy.zeros((2, 2)), boxes=[1]), ValueError, '"boxes" argument must be'),  # type: ignore[arg-type]  # the mistake
        (lambda: wandb.Image(numpy.zeros((2, 2)), masks=[1]), ValueError, '"masks" argument must be'),  # type: ignore[arg-type]  # the mistake
        (lambda: wandb.Image(numpy.zeros((2, 2)), boxes={"a": {"box_data": {}}}), TypeError, "Boxes must be a list"),
        (lambda: wandb.Image(numpy.zeros((2, 2)), boxes={"a": {}}), KeyError, "box_data"),
        (lambda: wandb.Image(numpy.zeros((2, 2)), boxes={"a": {"box_data": [{}]}}), TypeError, "a position with"),
        (lambda: wandb.Image(numpy.zeros((2, 2)), masks={"a": {}}), KeyError, "mask_data"),
        (lambda: wandb.Image(numpy.zeros((2, 2)), masks={"a": {"mask_data": [1]}}), TypeError, "2d array"),
        (lambda: wandb.Image(numpy.zeros((2, 2)), classes=[{"id": 1}]), KeyError, "name"),
        (lambda: wandb.Image(foreign("matplotlib")), ValueError, "matplotlib"),
        (lambda: wandb.Histogram([1] * 10, num_bins=600), ValueError, "maximum length of a histogram is 512"),
        (lambda: wandb.Histogram(np_histogram=(1,)), ValueError, "a tuple of"),  # type: ignore[arg-type]  # the mistake
        (lambda: wandb.Histogram(np_histogram=([1], [1])), ValueError, r"len\(bins\) must be"),
        (wandb.Histogram, TypeError, "isfinite"),
        (lambda: wandb.Html(5), ValueError, "a string or an io object"),  # type: ignore[arg-type]  # the mistake
        (lambda: wandb.Classes([{"id": 1}]), AssertionError, "name"),
        (lambda: wandb.Audio([0.5]), ValueError, "sample_rate"),  # type: ignore[arg-type]  # the mistake
        (lambda: wandb.Audio([0.5], sample_rate=8_000), UnsupportedError, "soundfile"),  # type: ignore[arg-type]  # the mistake
        (lambda: wandb.Audio("missing.wav"), FileNotFoundError, "missing.wav"),
        (lambda: wandb.Video("missing.mp4"), FileNotFoundError, "missing.mp4"),
        (lambda: wandb.Video("film.avi"), ValueError, "gif, mp4, webm, ogg formats"),
        (lambda: wandb.Video(numpy.zeros(3)), UnsupportedError, "imageio"),
        (lambda: wandb.Object3D("points.obj"), UnsupportedError, "add_file"),
        (lambda: wandb.Molecule("protein.pdb"), UnsupportedError, "add_file"),
        (lambda: wandb.Plotly(object()), UnsupportedError, "wandb.Html"),
        (lambda: wandb.Bokeh(object()), UnsupportedError, "wandb.Html"),
        (wandb.Graph, UnsupportedError, "add_file"),
        (lambda: wandb.JoinedTable(1, 2, "id"), UnsupportedError, "merge"),
        (lambda: wandb.PartitionedTable("parts"), UnsupportedError, "concat"),
        (lambda: wandb.Molecule.to_json(object.__new__(wandb.Molecule), None), UnsupportedError, "add_file"),  # type: ignore[arg-type]  # never written
        (lambda: wandb.Molecule.from_json({}, None), UnsupportedError, "add_file"),  # type: ignore[arg-type]  # never read
    ],
)  # fmt: skip
def test_bad_argument_is_refused_as_wandb_does(make: Callable[[], object], error: type[Exception], words: str) -> None:
    """What cannot be made raises W&B's class, or says what to use instead."""
    with pytest.raises(error, match=words):
        make()


def test_image_comes_back_with_all_that_was_said_of_it(drawer: Drawer) -> None:
    """Pixels, caption, grouping, classes and boxes are the same; class ids are numbers again."""
    boxes = {"guess": {"box_data": [BOX, CENTRED], "class_labels": {1: "cat"}}}
    image = wandb.Image(
        numpy.arange(12, dtype="uint8").reshape(2, 2, 3),
        caption="naïve",
        grouping=3,
        classes=wandb.Classes([{"id": 1, "name": "cat"}]),
        boxes=boxes,
    )

    again = there_and_back(image, drawer)

    assert again == image
    assert again.to_data_array() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert (again.boxes, again.classes) == (boxes, [{"id": 1, "name": "cat"}])
    assert hash(again) == hash(image)
    assert image != wandb.Image(image, caption="other")


def test_image_json_is_as_wandb_lays_it_out(drawer: Drawer, cat: Path) -> None:
    """The JSON names the file, which lies under its digest, unchanged."""
    digest = digest_of(png())

    data = wandb.Image(cat, caption="a cat").to_json(drawer)

    assert data == {
        "_type": "image-file",
        "path": f"media/images/{digest[:20]}.png",
        "digest": digest,
        "size": len(png()),
        "caption": "a cat",
        "format": "png",
        "width": 3,
        "height": 2,
    }
    assert drawer.files == {f"media/images/{digest[:20]}.png": png()}


def test_image_masks_become_files(drawer: Drawer) -> None:
    """A mask is a grey PNG file whose levels are the class ids; it comes back as a path."""
    mask = numpy.array([[0, 1], [2, 255]])
    image = wandb.Image(numpy.zeros((2, 2)), masks={"truth": {"mask_data": mask, "class_labels": {1: "cat"}}})

    again = there_and_back(image, drawer)

    truth = again.masks["truth"]
    assert truth["class_labels"] == {1: "cat"}
    assert numpy.asarray(pillow.open(truth["path"])).tolist() == [[0, 1], [2, 255]]
    assert there_and_back(again, drawer).masks == again.masks


def test_image_mask_of_large_ids_is_refused(drawer: Drawer) -> None:
    """A class id that a grey level cannot hold is not cut silently."""
    image = wandb.Image(numpy.zeros((2, 2)), masks={"truth": {"mask_data": numpy.full((2, 2), 256)}})

    with pytest.raises(ValueError, match="from 0 to 255"):
        image.to_json(drawer)


def test_image_of_wandb_is_read(drawer: Drawer) -> None:
    """W&B keeps classes in a file and boxes bare; both are understood."""
    drawer.files |= {"cat.png": png(), "media/classes/1_cls.classes.json": b'{"class_set": [{"id": 1, "name": "cat"}]}'}
    data = {
        "_type": "image-file",
        "path": "cat.png",
        "classes": {"type": "classes-file", "path": "media/classes/1_cls.classes.json"},
        "boxes": {"guess": [BOX]},
    }

    image = wandb.Image.from_json(data, drawer)

    assert image.classes == [{"id": 1, "name": "cat"}]
    assert image.boxes == {"guess": {"box_data": [BOX]}}


def test_image_path_needs_no_pillow(drawer: Drawer, cat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Pillow a file is kept all the same, only its size in pixels is not known."""
    monkeypatch.setitem(sys.modules, "PIL.Image", None)

    data = wandb.Image(str(cat)).to_json(drawer)

    assert "width" not in data
    with pytest.raises(Error, match=r"needs PIL, .* pip install '\.\[media\]'"):
        wandb.Image(numpy.zeros((2, 2)))
    with pytest.raises(Error, match=r"'\.\[media\]'"):
        _ = wandb.Image(cat).image


def test_image_file_that_pillow_cannot_read_is_kept(drawer: Drawer, tmp_path: Path) -> None:
    """A drawing is no image to Pillow, and kept as it is."""
    path = tmp_path / "drawing.svg"
    path.write_text("<svg/>")

    image = there_and_back(wandb.Image(path), drawer)

    assert (image.read(), image.format, image.width) == (b"<svg/>", "svg", None)


def test_image_of_an_image_takes_what_it_does_not_say(cat: Path) -> None:
    """An image made of another keeps its file and words; boxes stay behind, as with W&B."""
    first = wandb.Image(cat, caption="a", grouping=1, classes=[{"id": 1, "name": "c"}], boxes={"b": {"box_data": []}})

    second = wandb.Image(first, caption="b")

    assert (second.caption, second.grouping, second.classes, second.boxes) == ("b", 1, first.classes, None)
    assert second.read() == first.read()


def test_image_of_pillow_and_of_a_figure() -> None:
    """An image of Pillow's is saved, a figure of matplotlib's saves itself; axes and pyplot know their figure."""

    class Figure:
        def savefig(self, file: io.BytesIO, format: str) -> None:
            pillow.new("L", (1, 1), 7).save(file, format=format)

    Figure.__module__ = "matplotlib.figure"
    pyplot = ModuleType("matplotlib.pyplot")
    pyplot.gcf = Figure  # type: ignore[attr-defined]  # a stand-in

    images = [
        wandb.Image(thing)
        for thing in (pillow.new("L", (1, 1), 7), Figure(), foreign("matplotlib", figure=Figure()), pyplot)
    ]

    assert [pixel(image) for image in images] == [7, 7, 7, 7]
    assert all(isinstance(loggable(thing), wandb.Image) for thing in (pillow.new("L", (1, 1)), Figure(), pyplot))


def test_image_of_a_tensor_has_its_channels_first() -> None:
    """A tensor of torch's is channel x height x width."""
    tensor = FakeTensor(numpy.zeros((3, 2, 5), "uint8"))

    image = wandb.Image(tensor)

    assert (image.width, image.height, image.image.mode) == (5, 2, "RGB")


@pytest.mark.parametrize("package", ["tensorflow", "jaxlib"])
def test_tensors_of_other_packages_are_arrays(package: str) -> None:
    """TensorFlow's and JAX's tensors are asked for their numbers in their own way."""
    methods = {"numpy": lambda self: numpy.arange(3), "__array__": lambda self, *_, **__: numpy.arange(3)}

    assert loggable(foreign(package, **methods)) == [0, 1, 2]


def test_image_as_jpeg_has_no_transparency() -> None:
    """JPEG drops the fourth channel, as W&B does."""
    image = wandb.Image(numpy.zeros((2, 2, 4), "uint8"), file_type="jpg")

    assert (image.format, image.image.format, image.image.mode) == ("jpg", "JPEG", "RGB")


def test_image_takes_a_mode() -> None:
    """A mode given is Pillow's mode."""
    assert wandb.Image(numpy.zeros((2, 2)), mode="RGB").image.mode == "RGB"


def test_html_comes_back_byte_for_byte(drawer: Drawer, tmp_path: Path) -> None:
    """Text, a path and an open file give the page itself, whatever `inject` says."""
    path = tmp_path / "page.html"
    path.write_bytes("<p>naïve\r\n".encode())

    pages = [
        there_and_back(wandb.Html(given), drawer)
        for given in ("<p>naïve\r\n", str(path), path, io.StringIO("<p>naïve\r\n", newline=""))
    ]

    assert [page.html for page in pages] == ["<p>naïve\r\n"] * 4
    assert len(set(map(hash, pages))) == 1


def test_html_of_text_that_is_a_path() -> None:
    """Text that names no HTML file is the page, so is any text when told so; so is what no name can hold."""
    Path("page.html").write_text("<p>")

    assert wandb.Html("page.txt").html == "page.txt"
    assert wandb.Html("page.html", data_is_not_path=True).html == "page.html"
    assert wandb.Html("\0.html").html == "\0.html"
    assert len(wandb.Html("x" * 5_000 + ".html").html) == 5_005
    assert wandb.Html("page.html").html == "<p>"


def test_histogram_counts_as_numpy(drawer: Drawer) -> None:
    """Numbers are counted by numpy; counts and edges come back."""
    histogram = wandb.Histogram([1, 2, 3], num_bins=2)

    assert histogram.to_json(drawer) == {"_type": "histogram", "values": [1, 2], "bins": [1.0, 2.0, 3.0]}
    assert there_and_back(histogram, drawer) == histogram
    assert wandb.Histogram(np_histogram=numpy.histogram([1, 2, 3], bins=2)) == histogram
    assert len(wandb.Histogram([0.5]).histogram) == 64
    assert wandb.Histogram(FakeTensor(numpy.arange(3)), num_bins=2).histogram == [1, 2]  # type: ignore[arg-type]  # a tensor
    assert hash(histogram) != hash(wandb.Histogram([1, 2, 3], num_bins=3))


def test_histogram_of_counts_needs_no_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts and edges are taken as they are; numbers need numpy, and the error says so."""
    monkeypatch.setitem(sys.modules, "numpy", None)

    assert wandb.Histogram(np_histogram=([3], [0, 1])).bins == [0, 1]
    with pytest.raises(Error, match="needs numpy"):
        wandb.Histogram([1, 2])


def test_classes_come_back(drawer: Drawer) -> None:
    """A set of classes is plain data."""
    classes = wandb.Classes([{"id": 0, "name": "cat"}])

    assert there_and_back(classes, drawer) == classes
    assert hash(classes) == hash(wandb.Classes([{"id": 1, "name": "dog"}]))


@pytest.mark.parametrize(("name", "cls"), [("a.wav", wandb.Audio), ("a.mp4", wandb.Video), ("a.GIF", wandb.Video)])
def test_sound_and_film_are_files(drawer: Drawer, tmp_path: Path, name: str, cls: Any) -> None:
    """A file of sound or film is copied unchanged and comes back with its caption."""
    path = tmp_path / name
    path.write_bytes(b"bytes")

    again = there_and_back(cls(path, caption="c"), drawer)

    assert (again.read(), again.caption) == (b"bytes", "c")
    assert again == cls(str(path), caption="c")


def test_large_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    """A file is read in parts."""
    path = tmp_path / "large"
    path.write_bytes(b"ab" * (1 << 20))

    assert digest_of(path) == digest_of(b"ab" * (1 << 20))


def test_suffixes_name_the_files_of_artifacts() -> None:
    """What an artifact calls the JSON of media says its class, as with W&B."""
    assert {suffix: cls.__name__ for suffix, cls in SUFFIXES.items()} == {
        ".audio-file.json": "Audio",
        ".classes.json": "Classes",
        ".custom-chart.json": "CustomChart",
        ".histogram.json": "Histogram",
        ".html-file.json": "Html",
        ".image-file.json": "Image",
        ".table.json": "Table",
        ".video-file.json": "Video",
    }
    assert by_type(["table"]) is None
    assert by_type("file") is None


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1, 1),
        ("x", "x"),
        (None, None),
        ((1, [numpy.float32(0.5)]), [1, [0.5]]),
        ({"a": {"b": numpy.array([1, 2])}}, {"a": {"b": [1, 2]}}),
        (numpy.array([[7]]), 7),
        (numpy.int64(7), 7),
        (numpy.zeros((2, 2)), [[0, 0], [0, 0]]),
        (FakeTensor(numpy.arange(3)), [0, 1, 2]),
        (numpy.arange(32), list(range(32))),
        ({1, 2}, {1, 2}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_logged_values_become_plain_data(value: object, kept: object) -> None:
    """Small arrays and numpy's scalars are plain data; everything else stays as it is."""
    assert loggable(value) == kept
    assert type(loggable(value)) is type(kept)
    assert summary_value(value) == kept


def test_logged_large_array_is_a_histogram() -> None:
    """An array of more than 32 elements is a histogram of 32 bins, its summary what W&B's is."""
    array = numpy.arange(101).reshape(1, 101)

    logged, summary = loggable(array), summary_value(array)

    assert sum(logged.histogram) == 101
    assert len(logged.histogram) == 32
    assert summary == {
        "_type": "numpy.ndarray",
        "var": 850.0,
        "mean": 50.0,
        "min": 0,
        "max": 100,
        "10%": 10.0,
        "25%": 25.0,
        "75%": 75.0,
        "90%": 90.0,
        "size": 101,
    }


def test_logged_frame_is_a_table() -> None:
    """A pandas frame is a table."""
    pandas = pytest.importorskip("pandas")

    table = loggable(pandas.DataFrame({"a": [1, 2]}))

    assert table == wandb.Table(columns=["a"], data=[[1], [2]])


def test_logged_media_stay_as_they_are() -> None:
    """A media object is itself, and a list of them a list of the same."""
    page = wandb.Html("<p>")

    assert loggable(page) is page
    assert loggable([page, page]) == [page, page]


@pytest.mark.parametrize("package", ["plotly", "bokeh"])
def test_logged_chart_of_others_says_what_to_log(package: str) -> None:
    """Charts that need a library of scripts to be shown are refused with the line that keeps them."""
    with pytest.raises(UnsupportedError, match=r"log wandb\.Html"):
        loggable(foreign(package))
