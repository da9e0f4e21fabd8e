"""What tests of the command line share: a filled project, calls in a pipe and on a terminal, checked documents."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema
import pytest
from click.testing import CliRunner
from conftest import draft

import lineage
from lineage.cli import main
from lineage.migrations import SCHEMA_DIR

HOSTILE = "\x1b[31mred\x07\nnew line\u202e"


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str = ""

    @property
    def lines(self) -> list[str]:
        """The lines on stdout."""
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)


def call(*arguments: object, input: str | None = None) -> Answer:
    """Call the command line in this process, with its streams in pipes."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=input)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def good(*arguments: object, input: str | None = None) -> Answer:
    """Call the command line and see that it succeeds."""
    answer = call(*arguments, input=input)
    assert (answer.code, answer.err) == (0, "")
    return answer


def seen(*arguments: object, answer: str = "", columns: int = 80, **environment: str) -> Answer:
    """Call the command line in this process on a terminal; what a person sees is in `out`, stderr included."""
    environment = {"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "xterm", **environment}
    with mock.patch.dict(os.environ, environment), _terminal(answer) as screen, pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return Answer(int(str(stop.value.code)), "".join(screen).replace("\r\n", "\n"))


@contextmanager
def _terminal(answer: str) -> Iterator[list[str]]:
    """Let the three streams be a terminal for the block; what is written to it is in the list afterwards."""
    outer, inner = os.openpty()
    screen: list[str] = []
    reader = threading.Thread(target=_read, args=(outer, screen))
    os.write(outer, answer.encode())
    reader.start()
    try:
        with (
            open(inner, encoding="utf-8", closefd=False) as stdin,
            open(inner, "w", encoding="utf-8", closefd=False) as stdout,
            open(inner, "w", encoding="utf-8", closefd=False) as stderr,
            mock.patch.multiple(sys, stdin=stdin, stdout=stdout, stderr=stderr),
        ):
            yield screen
    finally:
        os.close(inner)
        reader.join()
        os.close(outer)


def _read(descriptor: int, screen: list[str]) -> None:
    """Collect what is written to a terminal until nobody has it open."""
    found = b""
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # how Linux says so
            break
        if not chunk:
            break
        found += chunk
    screen.append(found.decode())


def command(*arguments: object) -> list[str]:
    """Return the command line as a process of its own would be started."""
    return [sys.executable, "-m", "lineage", *map(str, arguments)]


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Call the command line in a process of its own."""
    return subprocess.run(command(*arguments), check=False, capture_output=True, env={**os.environ, **environment})


def checked(answer: Answer, schema: str) -> Any:
    """Return the document of an answer, checked against its published schema."""
    assert (answer.code, answer.err) == (0, "")
    validate(answer.json, schema)
    return answer.json


def checked_list(answer: Answer, schema: str) -> list[Any]:
    """Return the documents of an answer, each checked against its published schema."""
    assert (answer.code, answer.err) == (0, "")
    documents: list[Any] = answer.json
    assert isinstance(documents, list)
    for document in documents:
        validate(document, schema)
    return documents


def validate(document: Any, schema: str) -> None:
    """Check a document against its published schema."""
    text = (SCHEMA_DIR / "json" / f"{schema}.schema.json").read_text("utf-8")
    jsonschema.Draft202012Validator(json.loads(text)).validate(document)


def fill(project: lineage.Project) -> lineage.Project:
    """Put data, two trainings that use it, an evaluation, and one run that failed, in the place of a new project.

    data:v0 -> train-1 -> model:v0 -> evaluate-1 -> scores:v0; data:v0, model:v0 -> train-2 -> model:v1 [best].
    """
    template = _template()
    shutil.copy(template, project.file)
    shutil.copytree(template.with_suffix(".blobs"), project.blob_folder, dirs_exist_ok=True)
    return lineage.open(project.file)


@cache
def _template() -> Path:
    """Make the filled project once for all tests: ten commits take longer than a copy."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    project = lineage.open(Path(folder) / "template.lineage")
    with project.start_run("load", "load-data", config={"source": "disk"}) as run:
        run.log_artifact(draft("data", {"a.txt": "one", "b/c.txt": "two"}, description="raw data"))
    with project.start_run("train", "train-1", config={"lr": 0.1}, tags=["sweep"], group="g1") as run:
        run.use_artifact("data", use_as="training set")
        run.log({"iou": 0.25})
        run.log_artifact(draft("model", {"w.bin": "w1"}, type="model", metadata={"iou": 0.25}))
    with project.start_run("evaluate", "evaluate-1") as run:
        run.use_artifact("model:v0")
        run.log_artifact(draft("scores", {"s.csv": "1,2"}, type="table"))
    with project.start_run(
        "train", "train-2", config={"lr": 0.01, "optim": {"name": "adam"}}, notes="try again"
    ) as run:
        run.use_artifact("data")
        run.use_artifact("model:v0")
        run.log({"iou": 0.5})
        again = draft("model", {"w.bin": "w2", "notes.txt": "n"}, type="model", metadata={"iou": 0.5})
        run.log_artifact(again, aliases=["best"], tags=["reviewed"])
    with pytest.raises(RuntimeError), project.start_run("train", "train-3") as run:
        raise RuntimeError("out of memory")
    return project.file


def damage(project: lineage.Project, text: bytes = b"x" * 40_000) -> Path:
    """Log a version whose bytes lie beside the file, change them, and return their path."""
    project.log_artifact(draft("big", {"b.bin": text}))
    digest = project.version("big").files()[0].digest or ""
    path = project.blob_folder / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(b"y" * len(text))
    path.chmod(0o444)
    return path
