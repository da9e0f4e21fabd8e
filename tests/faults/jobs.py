"""Programs that the checks start: functions of modules named ``jobs_*.py``, called in a process of their own.

``done(job, ...)`` starts one, plants the bug it shall have, and returns what the job returned; ``answer(job, ...)``
also says what went wrong. A job may ask for a file system of its own, or to have no rights.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from footprint import for_everybody
from plants import Bug, plant_what_the_environment_names

import lineage

ROOT = Path(lineage.__file__).parents[1]
HANG = 240.0
"""Seconds after which a job is given up: never a measure of speed."""
NOBODY = 65534
Job = Callable[..., Any]
_MAIN = "import jobs; jobs.main()"
_LATE = ("concurrent.futures.thread", "ctypes", "getpass", "html", "logging", "networkx", "pwd", "unicodedata")


def answer(
    job: Job,
    *arguments: object,
    bug: Bug | None = None,
    mount: str | None = None,
    at: str = "",
    nobody: bool = False,
    **how: Any,
) -> subprocess.CompletedProcess[str]:
    """Call a job in another process and return how it ended; what it returned is the last line it printed.

    Args:
        job: A function of a module beside this one.
        arguments: Its arguments, as JSON; a path is text there.
        bug: What to plant first.
        mount: Options of a tmpfs of its own, on the folder that is the first argument.
        at: Where below that folder.
        nobody: The job gives up its rights: it gets a copy of everything that anybody may read.
        how: For `subprocess.run`.
    """
    words = [sys.executable, "-c", _MAIN, job.__module__, job.__qualname__, json.dumps(arguments, default=str)]
    if mount is not None:
        around = f'mount -t tmpfs -o {mount} none "$0" && exec "$@"'
        words = ["unshare", *_namespace(), "sh", "-c", around, os.path.join(str(arguments[0]), at), *words]  # noqa: PTH118 (text)
    settings: dict[str, Any] = {"capture_output": True, "text": True, "timeout": HANG, "stdin": subprocess.DEVNULL}
    with for_everybody() if nobody else nullcontext(ROOT) as root:
        return subprocess.run(words, env=_environment(root, bug), **{**settings, **how})


def _environment(root: Path, bug: Bug | None) -> dict[str, str]:
    paths = os.pathsep.join(str(one) for one in (root / "tests" / "faults", root / "tests", root))
    own = {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **own, **(bug.environment if bug else {})}


def done(job: Job, *arguments: object, bug: Bug | None = None, **where: Any) -> Any:
    """Call a job in another process and return what it returned; fail if it did not end well."""
    ended = answer(job, *arguments, bug=bug, **where)
    assert ended.returncode == 0, f"{job.__name__} ended with {ended.returncode}\n{ended.stderr[-3_000:]}"
    return json.loads(ended.stdout.splitlines()[-1])


def main() -> None:
    """Be the other process."""
    plant_what_the_environment_names()
    module, name, arguments = sys.argv[1:]
    result = getattr(importlib.import_module(module), name)(*json.loads(arguments))
    print(json.dumps(result), flush=True)  # noqa: T201 (the answer)


def _namespace() -> list[str]:
    return ["-m"] if os.geteuid() == 0 else ["-rm"]


def may_mount() -> bool:
    """Whether this user may mount a file system of its own."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        trial = ["unshare", *_namespace(), "mount", "-t", "tmpfs", "none", folder]
        return subprocess.run(trial, capture_output=True).returncode == 0


def give_up_rights() -> None:
    """Be a user without rights from here on; what the library imports late is imported first.

    The interpreter itself may lie where only root may look.
    """
    for name in _LATE:
        importlib.import_module(name)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
