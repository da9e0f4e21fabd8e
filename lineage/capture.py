"""What is known about the program that starts a run: its code, its environment, its process.

Code and environment are read once per process and kept, also over a fork: what runs is what was loaded at the
start, whatever is edited, committed or installed meanwhile, and reading costs two git processes (5 ms; 50 ms
where 50,000 files are tracked), the modules to run them and a listing of the packages (40 ms together). The
process is asked anew each time, since a forked child has its own.

Nothing here raises: what cannot be found out is None or empty. Environment variables are never kept, since
they hold secrets. A **command line is kept as it was typed**: a password given as an argument is in the store.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from blake3 import blake3

from lineage.jsondata import JsonObject, json_text
from lineage.values import storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from importlib.metadata import Distribution

GIT_TIMEOUT: Final = 5.0
MAX_ARGUMENTS: Final = 1_000
MAX_ARGUMENT: Final = 4_096
_ELSEWHERE: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
_HOST: Final = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?")
_SSH_SHORT: Final = re.compile(r"(?:[\w.-]+@)?[\w.-]+:[^:@?#\x00-\x1f]+")
_SCRIPTS: Final = frozenset({".py", ".ipynb", ".sh", ".r", ".R", ".jl", ".pl", ".rb", ".js", ".lua", ".m", ".scala"})
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class CodeRecord:
    """What was run.

    Attributes:
        command: The command line as typed. Beyond 1,000 arguments, or 4,096 characters of one, it is cut.
        script: The main file, relative to the root of its repository, else to the working folder, else its
            bare name; never absolute. None in a notebook, a console and with ``python -c``.
        script_digest: BLAKE3 of that file, which also tells apart what was never committed.
        git_commit: The commit checked out in the script's repository, or in that of the working folder.
        git_branch: Its branch; None when detached.
        git_dirty: Whether tracked files differ from the commit. Untracked ones do not count: nearly every
            working copy has some, and looking for them reads every folder.
        git_remote: Where the branch is pulled from, else ``origin``, without user, password and query; None for
            a folder of this machine.
    """

    command: tuple[str, ...]
    script: str | None = None
    script_digest: str | None = None
    git_commit: str | None = None
    git_branch: str | None = None
    git_dirty: bool | None = None
    git_remote: str | None = None

    def document(self) -> JsonObject:
        """Return the record as JSON data, without what is unknown."""
        facts: JsonObject = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}
        return {**facts, "command": list(self.command)}


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """What it was run with; equal for all runs of one installation, so that they share one row.

    Attributes:
        python: Such as ``3.11.7``.
        implementation: Such as ``CPython``.
        platform: System, release, machine and C library.
        packages: Version by normalised name (``scikit-learn``), sorted; all that is installed.
    """

    python: str
    implementation: str
    platform: str
    packages: Mapping[str, str] = field(hash=False)

    def document(self) -> JsonObject:
        """Return the record as JSON data; its :func:`~lineage.jsondata.json_text` is what the digest is taken of."""
        return {
            "implementation": self.implementation,
            "packages": dict(sorted(self.packages.items())),
            "platform": self.platform,
            "python": self.python,
        }

    def digest(self) -> str:
        """Return the BLAKE3 of the document, equal for equal environments."""
        return blake3(json_text(self.document()).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class HostRecord:
    """Where it runs.

    Attributes:
        host: The machine's name.
        user: The user's name, or number where it has none.
        pid: The process.
        process: Which process of that pid, for :func:`process_is_alive`. On Linux
            ``<boot id>:<start in ticks since the boot>:<pid namespace>``, which neither reuse of the pid nor a
            changed clock can confuse; elsewhere empty.
    """

    host: str
    user: str
    pid: int
    process: str


@cache
def code() -> CodeRecord:
    """Return what this process runs, as it was at the first call.

    Example:
        >>> code().command == code().command
        True
    """
    return _code(_command(sys.orig_argv or getattr(sys, "argv", [])), _script())


def code_of(command: Sequence[str]) -> CodeRecord:
    """Return what another program runs, by its command line in this working folder.

    Its script is the first argument that is a file and looks like one, as in ``python train.py``: the program
    itself, or a file whose ending is a language's. A data file is none.

    Example:
        >>> code_of(["true"]).command
        ('true',)
    """
    with suppress(OSError, ValueError):
        return _code(_command(command), _script_of(command))
    return _code(_command(command), None)


def _script_of(command: Sequence[str]) -> Path | None:
    """Return the first word that names a script, else the program: it may be an interpreter, given by its path."""
    files = [path for path in map(Path, command) if path.suffix in _SCRIPTS]
    return next((path.resolve() for path in [*files, *map(Path, command[:1])] if path.is_file()), None)


def _code(command: tuple[str, ...], script: Path | None) -> CodeRecord:
    here = _working_folder()
    roots = (_repository(folder) for folder in (script and script.parent, here) if folder)
    root = next(filter(None, roots), None)
    commit, branch, dirty, remote = _git_facts(root) if root else (None, None, None, None)
    return CodeRecord(
        command=command,
        script=storable(_relative(script, (root, here))) if script else None,
        script_digest=_file_digest(script) if script else None,
        git_commit=commit,
        git_branch=branch,
        git_dirty=dirty,
        git_remote=remote,
    )


@cache
def environment() -> EnvironmentRecord:
    """Return what this process runs with, as it was at the first call.

    Example:
        >>> environment().digest() == environment().digest()
        True
    """
    import platform  # noqa: PLC0415 - 7 ms, for the first run of a process only

    return EnvironmentRecord(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=platform.platform(),
        packages=_packages(),
    )


def host() -> HostRecord:
    """Return where this process runs; found out once per process, and anew in a forked child.

    Example:
        >>> host().pid == os.getpid()
        True
    """
    return _host(os.getpid())


@lru_cache(maxsize=1)
def _host(pid: int) -> HostRecord:
    """Return the record of this process; the pid is the key that a fork changes (0.1 ms, asked at every write)."""
    return HostRecord(storable(os.uname().nodename), _user(), pid, _identity())


def process_is_alive(pid: int, process: str) -> bool | None:
    """Say whether a process of this machine still runs; ask only for a record whose host is this one.

    A process that has ended and waits to be reaped (a zombie) is dead.

    Args:
        pid: As recorded by :func:`host`.
        process: As recorded by :func:`host`. When empty, any process of that pid will do.

    Returns:
        None when it cannot be known: the pid counts in another pid namespace (a container that shares the
        machine's name), the process is hidden from this user, or it is no pid at all.

    Example:
        >>> process_is_alive(host().pid, host().process)
        True
    """
    if pid <= 0:  # kill() would take these for groups of processes
        return None
    here = host().process
    if not here or not process or (pid, process) == (os.getpid(), here):
        return _answers(pid)
    boot, started, namespace = (*process.split(":"), "", "")[:3]
    own_boot, _, own_namespace = here.split(":")
    if boot != own_boot:
        return False
    if namespace and namespace != own_namespace:
        return None
    found = _state_and_start(pid)
    if found is None:  # gone, or /proc is mounted with hidepid
        return None if _answers(pid) else False
    return found[1] == started and found[0] not in "ZXx"


def error_text(error: BaseException) -> str:
    """Return an exception's name and words as they can be stored, whatever the code of others made of them."""
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 (its __str__ may raise anything; the run is to be finished all the same)
        text = type(error).__name__
    return storable(text[:10_000])


def _command(arguments: Sequence[str]) -> tuple[str, ...]:
    command = [storable(text if len(text) <= MAX_ARGUMENT else f"{text[:MAX_ARGUMENT]}…") for text in arguments]
    left_out = len(command) - MAX_ARGUMENTS
    return tuple(command) if left_out <= 0 else (*command[:MAX_ARGUMENTS], f"… {left_out:,} more")


def _script() -> Path | None:
    """Return the main file; with ``-m`` it is the module's, in a notebook there is none.

    Regular files only: of ``python <(generate)`` nothing is left to read.
    """
    name = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(name, str):
        return None
    with suppress(OSError, ValueError):
        path = Path(name).parent.resolve() / Path(name).name
        if path.is_file():
            return path
    return None


def _working_folder() -> Path | None:
    try:
        return Path.cwd().resolve()
    except OSError:  # it was removed
        return None


def _relative(path: Path, folders: Iterable[Path | None]) -> str:
    for folder in filter(None, folders):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return path.name


def _file_digest(path: Path) -> str | None:
    try:
        return blake3(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _repository(folder: Path) -> Path | None:
    """Return the root of the working copy around `folder`, without asking git: most often there is none.

    Where the environment points git elsewhere (inside a hook, for one) it would answer for that repository.
    """
    if any(os.environ.get(name) for name in _ELSEWHERE):
        return None
    return next((root for root in (folder, *folder.parents) if _holds_repository(root / ".git")), None)


def _holds_repository(git: Path) -> bool:
    with suppress(OSError):  # a folder that may not be searched
        return (git / "HEAD").exists() or git.is_file()  # a file: worktree, submodule
    return False


def _git_facts(root: Path) -> tuple[str | None, str | None, bool | None, str | None]:
    """Return commit, branch, whether it is dirty, and remote."""
    status = _git(root, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--no-ahead-behind")
    if status is None:
        return None, None, None, None
    lines = status.rstrip("\n").split("\n")
    header = dict(line[2:].partition(" ")[::2] for line in lines if line.startswith("# "))
    commit, branch = header.get("branch.oid"), header.get("branch.head")
    return (
        None if commit == "(initial)" else commit,
        None if branch == "(detached)" else branch,
        any(not line.startswith("#") for line in lines),
        _remote(root, header.get("branch.upstream", "")),
    )


def _remote(root: Path, upstream: str) -> str | None:
    listing = _git(root, "config", "-z", "--get-regexp", r"^remote\..*\.url$") or ""
    remotes: dict[str, str] = {}
    for entry in filter(None, listing.split("\0")):
        key, _, url = entry.partition("\n")
        remotes.setdefault(key.removeprefix("remote.").removesuffix(".url"), url)
    followed = (name for name in remotes if upstream.startswith(f"{name}/"))
    name = next(followed, "origin" if "origin" in remotes else next(iter(remotes), ""))
    return _public_url(remotes[name]) if name else None


def _public_url(url: str) -> str | None:
    """Return a remote's address without credentials; None where it has none, or what is one stays unclear."""
    if _CONTROL.search(url):
        return None
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url if _SSH_SHORT.fullmatch(url) else None
    authority, slash, path = rest.partition("/")
    server = authority.rpartition("@")[2]
    if "@" in path or not _HOST.fullmatch(server):  # a password with a slash in it may end there
        return None
    return f"{scheme}://{server}{slash}{re.split('[?#]', path)[0]}"


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, None if it fails, hangs or is not there.

    It takes no lock that a commit would trip over, and starts no monitor that would outlive it.
    """
    import subprocess  # noqa: PLC0415 - 12 ms, for the first run of a process only

    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and nothing in it comes from outside
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "backslashreplace")


def _packages() -> dict[str, str]:
    """Return version by name of all that is installed; of two of one name, the one that is imported."""
    from importlib.metadata import distributions  # noqa: PLC0415 - 33 ms, for the first run of a process only

    found: dict[str, str] = {}
    for distribution in distributions():
        for name, version in _name_and_version(distribution):
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return dict(sorted(found.items()))


def _name_and_version(distribution: Distribution) -> Iterator[tuple[str, str]]:
    """Yield the two headers, or nothing where they are not whole.

    Not by way of ``distribution.metadata``, which parses the description too: 30 ms against 2 for 56 packages.
    """
    with suppress(OSError, ValueError):
        files = (distribution.read_text(name) for name in ("METADATA", "PKG-INFO", ""))
        header = "\n" + next(filter(None, files), "").partition("\n\n")[0]
        name = re.search(r"\nName:[ \t]*(\S+)", header)
        version = re.search(r"\nVersion:[ \t]*(\S+)", header)
        if name and version:
            yield name[1], version[1]


def _user() -> str:
    import getpass  # noqa: PLC0415 - 3 ms, for programs that start runs only

    try:
        return storable(getpass.getuser())
    except (OSError, KeyError, ImportError):  # a container's user without an entry in passwd
        return str(os.getuid())


def _identity() -> str:
    """Return which process this is, and in which boot and pid namespace; empty where there is no /proc."""
    own = _state_and_start("self")
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        return ""
    return f"{boot}:{own[1]}:{namespace}" if own else ""


def _state_and_start(pid: int | str) -> tuple[str, str] | None:
    """Return the state letter and the start of a process, None if there is none to be seen."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = text.rpartition(b")")[2].split()  # the name before may hold ")" and blanks
    return fields[0].decode(), fields[19].decode()


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # there, and somebody else's
        return True
    return True
