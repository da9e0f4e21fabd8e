"""Make the fixture of format 3: a packed file with a bit of everything, in ``format3/share.lineage``.

Run it once, with the release that writes the format, and never again: from then on the file stands for what people
have. ``tests/test_format3.py`` reads it.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import lineage


def draft(name: str, files: dict[str, bytes], type: str) -> lineage.Artifact:
    """Return a draft of given files."""
    made = lineage.Artifact(name, type=type, metadata={"files": len(files)})
    for path, content in files.items():
        with made.new_file(path, "wb") as file:
            file.write(content)
    return made


def fill(project: lineage.Project, other: lineage.Project) -> None:
    """Log a small pipeline, with what formats 1 to 3 brought."""
    abroad = other.log_artifact(draft("abroad", {"x": b"abroad"}, "dataset"))
    with project.start_run(
        "load", "load", id="load", config={"lr": 0.1}, tags=["tag"], use=[abroad], command=["load.sh"]
    ) as run:
        run.log({"loss": 0.5})
        data = draft("data", {"a.txt": b"hello", "dir/large.bin": bytes(range(256)) * 400, "empty": b""}, "dataset")
        data.add_reference("s3://bucket/key")
        run.log_artifact(data)
    for number in range(3):
        with project.start_run(
            "train", f"train-{number}", id=f"train{number}", use=["data"], command=["train.sh"]
        ) as run:
            run.log_artifact(draft("model", {"w": b"%d" % (number // 2)}, "model"), aliases=["best"])
    project.link("model:v0", "Best models", aliases=["production"])
    project.version("model").update(description="words", tags=["gold"])
    project.log_artifact(draft("gone", {"g": b"gone"}, "dataset"))
    project.delete_artifact("gone")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        project = lineage.open(f"{home}/origin.lineage")
        fill(project, lineage.open(f"{home}/other.lineage"))
        with (
            closing(sqlite3.connect(project.file)) as connection,
            connection,
        ):  # whose machine it was is nobody's matter
            connection.execute("UPDATE run SET host = 'host', user = 'user'")
            connection.execute("UPDATE alias_event SET user = 'user'")
        target = Path(__file__).parent / "format3" / "share.lineage"
        print(project.pack(target, content={"type": ["dataset", "model"]}, overwrite=True).digest)  # noqa: T201 (a tool)
