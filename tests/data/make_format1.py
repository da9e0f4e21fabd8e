"""Make the project of ``format1/``: run by the last library that wrote format 1, commit 347fec4, and kept as it came.

In a worktree of that commit, outside of any repository: ``PYTHONPATH=WORKTREE python make_format1.py FOLDER``.
``test_old_formats.py`` reads what it made.
"""

from __future__ import annotations

import sys
from pathlib import Path

import lineage


def draft(name: str, type: str, files: dict[str, bytes], **words: object) -> lineage.Artifact:
    """Return a draft of given files."""
    made = lineage.Artifact(name, type, **words)  # type: ignore[arg-type]  # as its callers give them
    for path, content in files.items():
        with made.new_file(path, "wb") as file:
            file.write(content)
    return made


def make(folder: Path) -> None:
    """Make the project: runs, versions, aliases, metrics, bytes in the file and beside it, and what was deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    project = lineage.open(folder / "old.lineage")
    with project.start_run(
        "load", "first", id="load", config={"source": "web"}, tags=["t1"], notes="as it came", command=["load.sh"]
    ) as run:
        data = draft("data", "dataset", {"a.txt": b"one", "dir/large.bin": b"large" * 8_000}, description="raw digits")
        data.add_reference("s3://bucket/more.tar")
        run.log_artifact(data, aliases=["raw"], tags=["clean"])
    with project.start_run(
        "train", "second", id="train", config={"lr": 0.1}, use=["data"], command=["train.sh"]
    ) as run:
        for step in range(3):
            run.log({"loss": 1 / (step + 1)})
        model = draft("model", "model", {"weights.bin": b"w" * 20_000}, metadata={"iou": 0.5})
        run.log_artifact(model, aliases=["best"])
    with project.start_run("train", "third", id="again", use=["data:raw"], command=["train.sh"]) as run:
        run.log_artifact(draft("model", "model", {"weights.bin": b"w" * 20_000}))  # reproduced
        run.log_artifact(
            draft("model", "model", {"weights.bin": b"v" * 20_000}, metadata={"iou": 0.7}), aliases=["best"]
        )
    project.version("model:best").add_alias("kept", protect=True)
    with project.start_run("eval", id="gone", use=["model:v1"], command=["eval.sh"]) as run:
        run.log_artifact(draft("report", "report", {"r.txt": b"fine"}))
    project.run("gone").delete()
    project.log_artifact(draft("data", "dataset", {"a.txt": b"two"}))
    project.log_artifact(draft("data", "dataset", {"a.txt": b"three"}))
    project.version("data:v1").delete()
    project.log_artifact(draft("scrap", "other", {"x": b"x" * 17_000}))
    project.delete_artifact("scrap")
    project.gc()

    for path in (folder / "old.lineage-journal", *(folder / "old.blobs").glob("*.lock")):
        path.unlink()  # they come with the next write


if __name__ == "__main__":
    make(Path(sys.argv[1]))
