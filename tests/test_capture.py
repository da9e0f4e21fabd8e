"""What is recorded about the program that starts a run, in real repositories and processes."""

from __future__ import annotations

import getpass
import json
import os
import platform
import signal
import socket
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from lineage import capture
from lineage.capture import CodeRecord, EnvironmentRecord, HostRecord
from lineage.jsondata import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = str(Path(capture.__file__).parents[1])
PROGRAM = "import json; from lineage import capture; print(json.dumps(capture.code().document()))"
GIT_USER = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="lineage runs on POSIX systems only")
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are told apart through /proc")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


def git(folder: Path, *arguments: str) -> str:
    """Run git as a user of its own, untouched by the settings of whoever runs the tests."""
    environment = {**os.environ, **GIT_USER}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def python(*arguments: str | bytes, cwd: Path, **environment: str) -> Any:
    """Run a program that prints JSON and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "PYTHONPATH": ROOT, **environment},
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return json.loads(done.stdout)


def executable(path: Path, text: str) -> Path:
    """Write a program."""
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a repository with one commit of train/run.py, a program that prints what it captures."""
    root = tmp_path / "repository"
    (root / "train").mkdir(parents=True)
    (root / "train" / "run.py").write_text(PROGRAM)
    git(root, "init", "--quiet", "--initial-branch", "trunk")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "first")
    return root


@pytest.fixture(autouse=True)
def _fresh_capture(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees what another one's process remembers, nor a repository of who runs it."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    capture.code.cache_clear()
    capture.environment.cache_clear()
    capture._host.cache_clear()
    yield
    capture.code.cache_clear()
    capture.environment.cache_clear()
    capture._host.cache_clear()


# The script


def test_code_of_script_names_it_from_the_root_of_the_repository(repository: Path, tmp_path: Path) -> None:
    """A script is named from its repository's root, wherever it was started."""
    code = python(str(repository / "train" / "run.py"), cwd=tmp_path)

    assert code["script"] == "train/run.py"
    assert code["script_digest"] == blake3(PROGRAM.encode()).hexdigest()


def test_code_of_script_without_repository_names_it_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a repository the working folder is the root."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "a/run.py", raising=False)

    code = capture.code()

    assert (code.script, code.git_commit) == ("a/run.py", None)


def test_code_of_script_elsewhere_names_the_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No absolute path is kept."""
    (tmp_path / "run.py").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "run.py"), raising=False)

    assert capture.code().script == "run.py"


def test_code_of_module_names_its_main_file(repository: Path) -> None:
    """With -m the script is the module's file."""
    code = python("-m", "train.run", cwd=repository)

    assert code["script"] == "train/run.py"
    assert code["command"][-2:] == ["-m", "train.run"]


def test_code_of_command_has_no_script(tmp_path: Path) -> None:
    """With -c, as in a console or notebook, there is no file."""
    code = python("-c", PROGRAM, "x", cwd=tmp_path)

    assert code == {"command": [sys.executable, "-c", PROGRAM, "x"]}


def test_code_of_script_from_a_pipe_has_no_script(tmp_path: Path) -> None:
    """What is read from a pipe is gone: capturing it must not wait for more."""
    os.mkfifo(tmp_path / "pipe")
    program = tmp_path / "start.py"
    program.write_text(f"import sys; sys.modules['__main__'].__file__ = {str(tmp_path / 'pipe')!r}\n{PROGRAM}")

    code = python("start.py", cwd=tmp_path)

    assert "script" not in code


@pytest.mark.parametrize("name", [None, 7, "/nowhere/run.py", "a\0b", "x" * 5000])
def test_code_of_odd_main_module_has_no_script(name: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A main module that names no file, or nonsense, is no error."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", name, raising=False)

    assert capture.code().script is None


def test_code_of_unreadable_script_has_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that cannot be read has a name and no digest."""
    script = tmp_path / "run.py"
    script.touch()
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)

    def refuse(_: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    code = capture.code()

    assert (code.script, code.script_digest) == ("run.py", None)


def test_code_in_removed_folder_is_still_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder that is gone is no error."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", None, raising=False)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    code = capture.code()

    assert code == CodeRecord(command=tuple(sys.orig_argv))


def test_code_is_remembered_when_the_script_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is what was loaded: a later edit does not change the record."""
    script = tmp_path / "run.py"
    script.write_text("first")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)

    before = capture.code()
    script.write_text("second")

    assert capture.code() is before
    assert before.script_digest == blake3(b"first").hexdigest()


# The command line


def test_code_command_that_is_not_utf8_can_be_stored(tmp_path: Path) -> None:
    """Bytes of an argument that are no UTF-8 are shown escaped."""
    code = python("-c", PROGRAM, b"caf\xe9", "café", cwd=tmp_path)

    assert code["command"][-2:] == ["caf\\udce9", "café"]


def test_code_command_of_many_long_arguments_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line of a million files does not fill the store."""
    monkeypatch.setattr(sys, "orig_argv", ["python", "x" * 5000, *map(str, range(2000))])

    command = capture.code().command

    assert command[:3] == ("python", "x" * 4096 + "…", "0")
    assert command[-2:] == ("997", "… 1,002 more")


def test_code_command_of_embedded_python_falls_back_to_argv(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that embeds Python has no original command line."""
    monkeypatch.setattr(sys, "orig_argv", [])
    monkeypatch.setattr(sys, "argv", ["host", "-v"])

    assert capture.code().command == ("host", "-v")


# The repository it comes from


def test_code_in_repository_has_commit_and_branch(repository: Path) -> None:
    """A clean working copy is known by its commit."""
    code = python("train/run.py", cwd=repository)

    assert code["git_commit"] == git(repository, "rev-parse", "HEAD")
    assert code["git_branch"] == "trunk"
    assert code["git_dirty"] is False
    assert "git_remote" not in code


def test_code_in_repository_of_the_working_folder_has_its_commit(repository: Path) -> None:
    """A launcher outside of any repository runs the code around the working folder."""
    code = python("-c", PROGRAM, cwd=repository / "train")

    assert code["git_commit"] == git(repository, "rev-parse", "HEAD")


def test_code_with_modified_file_is_dirty(repository: Path) -> None:
    """A tracked file that differs from the commit makes it dirty."""
    (repository / "train" / "run.py").write_text(PROGRAM + "  # changed")

    assert python("train/run.py", cwd=repository)["git_dirty"] is True


def test_code_with_staged_file_is_dirty(repository: Path) -> None:
    """So does one that is staged and not committed."""
    (repository / "new.py").touch()
    git(repository, "add", "new.py")

    assert python("train/run.py", cwd=repository)["git_dirty"] is True


def test_code_with_untracked_file_is_clean(repository: Path) -> None:
    """Files git does not know do not count."""
    (repository / "notes.txt").touch()

    assert python("train/run.py", cwd=repository)["git_dirty"] is False


def test_code_on_detached_head_has_no_branch(repository: Path) -> None:
    """A detached checkout has a commit and no branch."""
    git(repository, "checkout", "--quiet", "--detach")

    code = python("train/run.py", cwd=repository)

    assert "git_branch" not in code
    assert code["git_commit"] == git(repository, "rev-parse", "HEAD")


def test_code_before_first_commit_has_no_commit(tmp_path: Path) -> None:
    """A repository without commits has a branch only."""
    git(tmp_path, "init", "--quiet", "--initial-branch", "trunk")

    code = python("-c", PROGRAM, cwd=tmp_path)

    assert code == {"command": code["command"], "git_branch": "trunk", "git_dirty": False}


def test_code_in_worktree_has_its_branch(repository: Path, tmp_path: Path) -> None:
    """A linked worktree is a repository of its own kind."""
    git(repository, "worktree", "add", "--quiet", "-b", "idea", str(tmp_path / "idea"))

    code = python("train/run.py", cwd=tmp_path / "idea")

    assert (code["script"], code["git_branch"]) == ("train/run.py", "idea")


def test_code_reading_leaves_the_repository_alone(repository: Path) -> None:
    """Capturing takes no lock and does not even refresh the index."""
    os.utime(repository / "train" / "run.py", (1, 1))
    before = (repository / ".git" / "index").read_bytes()

    python("train/run.py", cwd=repository)

    assert (repository / ".git" / "index").read_bytes() == before


@pytest.mark.parametrize("git_dir", ["/nonexistent", ".git", "\n"])
def test_code_with_git_dir_set_has_no_git_facts(
    repository: Path, monkeypatch: pytest.MonkeyPatch, git_dir: str
) -> None:
    """Where the environment points git to some repository, no commit is claimed for the script."""
    monkeypatch.setenv("GIT_DIR", git_dir)
    monkeypatch.chdir(repository)

    assert capture.code().git_commit is None


def test_code_without_git_has_no_git_facts(repository: Path, tmp_path: Path) -> None:
    """Where git is not installed, the rest is found all the same."""
    (tmp_path / "bin").mkdir()

    code = python("train/run.py", cwd=repository, PATH=str(tmp_path / "bin"))

    assert "git_commit" not in code
    assert code["script"] == "train/run.py"


def test_code_in_damaged_repository_has_no_git_facts(repository: Path) -> None:
    """A repository git cannot read is no error."""
    (repository / ".git" / "HEAD").write_text("rubbish")

    assert "git_commit" not in python("train/run.py", cwd=repository)


def test_code_in_folder_with_empty_git_folder_has_no_git_facts(tmp_path: Path) -> None:
    """An empty .git makes no repository."""
    (tmp_path / ".git").mkdir()

    assert "git_commit" not in python("-c", PROGRAM, cwd=tmp_path)


@as_root
def test_code_in_repository_of_somebody_else_has_no_git_facts(repository: Path) -> None:
    """Git refuses the repository of another user, and so does the record."""
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 12345, 12345)

    assert "git_commit" not in python("train/run.py", cwd=repository)


def test_code_in_folder_that_may_not_be_searched_has_no_git_facts(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .git that this user may not look into is no error."""
    original = Path.exists

    def refuse(path: Path) -> bool:
        if path == repository / ".git" / "HEAD":
            raise PermissionError
        return original(path)

    monkeypatch.setattr(Path, "exists", refuse)
    monkeypatch.chdir(repository)

    assert capture.code().git_commit is None


def test_code_with_hanging_git_gives_up(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that never answers, a file system that is gone say, costs the time-out and no more."""
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin" / "git", "#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(capture, "GIT_TIMEOUT", 0.05)
    monkeypatch.chdir(repository)

    assert capture.code().git_commit is None


def test_code_with_babbling_git_is_still_found(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output that is no text of git's is no error either."""
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin" / "git", "#!/bin/sh\nprintf 'x\\377\\n# \\n#\\n\\n'\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(repository)

    code = capture.code()

    assert (code.git_commit, code.git_dirty, code.git_remote) == (None, True, None)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.org/o/r.git", "https://example.org/o/r.git"),
        ("https://user:s3cret@example.org/o/r.git", "https://example.org/o/r.git"),
        ("https://s3cret@example.org:8443/o/r", "https://example.org:8443/o/r"),
        ("https://u:s3c@ret@example.org/r", "https://example.org/r"),
        ("https://u:s3?c#ret@example.org/r", "https://example.org/r"),
        ("https://example.org/r?private_token=s3cret", "https://example.org/r"),
        ("https://example.org/r#s3cret", "https://example.org/r"),
        ("https://example.org", "https://example.org"),
        ("https://u:s3/cret@example.org/r", None),
        ("https://u:s3cret", None),
        ("ssh://git:s3cret@[2001:db8::1]:22/r", "ssh://[2001:db8::1]:22/r"),
        ("git@example.org:o/r.git", "git@example.org:o/r.git"),
        ("example.org:o/r.git", "example.org:o/r.git"),
        ("u:s3cret@example.org:o/r", None),
        ("/home/me/r.git", None),
        ("../r.git", None),
        ("file:///home/me/r.git", None),
        ("ext::sh -c s3cret", None),
        ("https://example.org/\x01", None),
    ],
)
def test_code_with_remote_keeps_its_address_without_credentials(
    repository: Path, monkeypatch: pytest.MonkeyPatch, url: str, kept: str | None
) -> None:
    """A remote is known by its address; what may be a secret, or a folder of this machine, is left out."""
    git(repository, "config", "remote.origin.url", url)
    monkeypatch.chdir(repository)

    assert capture.code().git_remote == kept


def test_code_with_several_remotes_keeps_the_one_it_follows(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remote of the branch goes before origin."""
    git(repository, "remote", "add", "origin", "https://example.org/fork")
    git(repository, "remote", "add", "up/stream", "https://example.org/source")
    git(repository, "config", "branch.trunk.remote", "up/stream")
    git(repository, "config", "branch.trunk.merge", "refs/heads/trunk")
    git(repository, "update-ref", "refs/remotes/up/stream/trunk", "HEAD")
    monkeypatch.chdir(repository)

    assert capture.code().git_remote == "https://example.org/source"


def test_code_with_remotes_it_does_not_follow_keeps_origin(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it is origin, not the first."""
    git(repository, "remote", "add", "backup", "https://example.org/backup")
    git(repository, "remote", "add", "origin", "https://example.org/source")
    monkeypatch.chdir(repository)

    assert capture.code().git_remote == "https://example.org/source"


def test_code_with_one_remote_of_other_name_keeps_it(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an origin, the only remote will do."""
    git(repository, "remote", "add", "lab", "https://example.org/lab")
    monkeypatch.chdir(repository)

    assert capture.code().git_remote == "https://example.org/lab"


@given(
    st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1).map(lambda text: f"s3cret{text}s3cret")
)
def test_clean_any_url_leaves_no_password(password: str) -> None:
    """No password, of whatever characters, survives in the address."""
    for url in (
        f"https://user:{password}@example.org/r",
        f"ssh://{password}@example.org",
        f"u:{password}@example.org:r",
    ):
        assert "s3cret" not in (capture._public_url(url) or "")


def test_code_document_leaves_out_what_is_unknown() -> None:
    """The document that is stored holds the facts there are, False among them."""
    record = CodeRecord(command=("python",), script="run.py", git_dirty=False)

    assert record.document() == {"command": ["python"], "script": "run.py", "git_dirty": False}


# Environment


def test_environment_names_python_and_packages() -> None:
    """Python, its make and every installed package are listed, names normalised and sorted."""
    record = capture.environment()

    assert record.python == platform.python_version()
    assert record.implementation == platform.python_implementation()
    assert record.packages["blake3"] == version("blake3")
    assert record.packages["pytest-cov"] == version("pytest_cov")
    assert list(record.packages) == sorted(record.packages)


def test_environment_is_remembered() -> None:
    """The packages are listed once per process."""
    assert capture.environment() is capture.environment()


def test_environment_with_broken_packages_lists_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what half an installation left, and of the second of two, nothing is listed."""

    def install(folder: str, name: str, text: bytes) -> None:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(text)

    install(
        "Fine_Pack-1.dist-info", "METADATA", b"Metadata-Version: 2.1\nName: Fine_Pack\nVersion: 1+cu1\n\nName: no\n"
    )
    install("old.egg-info", "PKG-INFO", b"Metadata-Version: 1.0\r\nName: old\r\nVersion: 0.1\r\n")
    install("late/fine_pack-2.dist-info", "METADATA", b"Name: fine.pack\nVersion: 2\n\n")
    install("latin-1.dist-info", "METADATA", b"Name: latin\nVersion: 1\nAuthor: \xe9\n\n")
    install("headless-1.dist-info", "METADATA", b"Version: 1\n\nName: headless\n")
    (tmp_path / "empty-1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "late")])

    packages = capture.environment().packages

    assert packages == {"fine-pack": "1+cu1", "old": "0.1"}


def test_environment_digest_does_not_depend_on_order() -> None:
    """Equal environments share one digest, that of their document."""
    one = EnvironmentRecord("3.11.7", "CPython", "Linux", {"a": "1", "b": "2"})
    two = EnvironmentRecord("3.11.7", "CPython", "Linux", {"b": "2", "a": "1"})
    text = '{"implementation":"CPython","packages":{"a":"1","b":"2"},"platform":"Linux","python":"3.11.7"}'

    assert one.digest() == two.digest() == blake3(text.encode()).hexdigest()
    assert one.document() == parse_object(text)


def test_environment_with_other_version_has_other_digest() -> None:
    """Another version of one package is another environment."""
    one = EnvironmentRecord("3.11.7", "CPython", "Linux", {"a": "1"})
    two = EnvironmentRecord("3.11.7", "CPython", "Linux", {"a": "2"})

    assert one.digest() != two.digest()


def test_capture_keeps_no_environment_variable(repository: Path) -> None:
    """Environment variables hold secrets, and none is kept."""
    program = (
        "import json; from lineage import capture as c; "
        "print(json.dumps([c.code().document(), c.environment().document(), repr(c.host())]))"
    )

    captured = python("-c", program, cwd=repository, WANDB_API_KEY="s3cret-value")

    assert "s3cret-value" not in json.dumps(captured)


# Host and processes


def test_host_names_machine_user_and_process() -> None:
    """The record says where and as whom this process runs."""
    record = capture.host()

    assert (record.host, record.user, record.pid) == (socket.gethostname(), getpass.getuser(), os.getpid())


def test_host_without_user_name_gives_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user without a name is known by its number."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)

    assert capture.host().user == str(os.getuid())


def test_host_in_forked_child_names_the_child() -> None:
    """A fork is another process, whatever its parent has asked before."""
    parent = capture.host()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child, where coverage is not written
        record = capture.host()
        os.write(write_end, json.dumps([record.pid, record.process]).encode())
        os._exit(0)
    os.waitpid(child, 0)

    pid, process = json.loads(os.read(read_end, 1000))
    os.close(read_end)
    os.close(write_end)

    assert pid == child
    assert process != parent.process or process == ""


class Sleeper:
    """A Python process that says who it is and waits for its end."""

    def __init__(self) -> None:
        program = "import sys; from lineage.capture import host; print(host().process, flush=True); sys.stdin.read()"
        environment = {**os.environ, "PYTHONPATH": ROOT}
        command = [sys.executable, "-c", program]
        self.popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        assert self.popen.stdout is not None
        self.pid = self.popen.pid
        self.process = self.popen.stdout.readline().strip()

    def kill(self) -> None:
        """Kill it and wait until it is dead, but do not reap it."""
        self.popen.kill()
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def close(self) -> None:
        """Kill and reap it."""
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    """Give a running process, killed at the end."""
    process = Sleeper()
    yield process
    process.close()


def test_ask_for_own_process_is_alive() -> None:
    """The process that asks is alive."""
    record = capture.host()

    assert capture.process_is_alive(record.pid, record.process) is True


def test_ask_for_other_process_is_alive(sleeper: Sleeper) -> None:
    """So is another one that runs."""
    assert capture.process_is_alive(sleeper.pid, sleeper.process) is True


def test_ask_for_stopped_process_is_alive(sleeper: Sleeper) -> None:
    """A process that was stopped may go on."""
    os.kill(sleeper.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED)

    assert capture.process_is_alive(sleeper.pid, sleeper.process) is True


@on_linux
def test_ask_for_killed_process_not_yet_reaped_is_dead(sleeper: Sleeper) -> None:
    """A zombie is dead."""
    sleeper.kill()

    assert capture.process_is_alive(sleeper.pid, sleeper.process) is False


def test_ask_for_reaped_process_is_dead(sleeper: Sleeper) -> None:
    """A process that is gone is dead, with an identity or without."""
    sleeper.close()

    assert capture.process_is_alive(sleeper.pid, sleeper.process) is False
    assert capture.process_is_alive(sleeper.pid, "") is False


@on_linux
def test_ask_for_reused_pid_is_dead(sleeper: Sleeper) -> None:
    """A later process of the same pid is not the one that was recorded."""
    boot, started, namespace = sleeper.process.split(":")
    earlier = f"{boot}:{int(started) - 1}:{namespace}"

    assert capture.process_is_alive(sleeper.pid, earlier) is False


@on_linux
def test_ask_after_reboot_is_dead() -> None:
    """A process of an earlier boot is dead, whoever bears its pid."""
    _, started, namespace = capture.host().process.split(":")

    assert capture.process_is_alive(os.getpid(), f"0000-other-boot:{started}:{namespace}") is False


@on_linux
def test_ask_for_process_of_other_namespace_is_unknown() -> None:
    """A pid of another container on this machine says nothing here."""
    boot, started, _ = capture.host().process.split(":")

    assert capture.process_is_alive(os.getpid(), f"{boot}:{started}:1") is None


@on_linux
def test_ask_with_identity_of_two_parts_is_alive() -> None:
    """An identity without a namespace is compared without it."""
    boot, started, _ = capture.host().process.split(":")

    assert capture.process_is_alive(os.getpid(), f"{boot}:{started}") is True


@pytest.mark.parametrize("pid", [0, -1, -2])
def test_ask_for_what_is_no_pid_is_unknown(pid: int) -> None:
    """Zero and negative numbers mean groups of processes to the system, and nobody here."""
    assert capture.process_is_alive(pid, capture.host().process) is None


@pytest.mark.parametrize("process", ["", "garbage", "::", ":" * 9])
def test_ask_for_impossible_pid_is_dead(process: str) -> None:
    """A number beyond any pid is nobody's, whatever the identity says."""
    assert capture.process_is_alive(2**70, process) is False


def test_ask_without_identity_for_process_of_somebody_else_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process this user may not signal is there all the same."""
    monkeypatch.setattr(os, "kill", _not_permitted)

    assert capture.process_is_alive(1, "") is True


@on_linux
def test_ask_for_hidden_process_is_unknown(monkeypatch: pytest.MonkeyPatch, sleeper: Sleeper) -> None:
    """Where /proc hides the processes of others, one that exists may be anybody."""
    sleeper.close()
    monkeypatch.setattr(os, "kill", _not_permitted)

    assert capture.process_is_alive(sleeper.pid, sleeper.process) is None


def _not_permitted(_: int, __: int) -> None:
    raise PermissionError


@pytest.mark.parametrize("hidden", ["/proc/self/stat", "/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"])
def test_ask_without_proc_only_looks_for_the_pid(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    """Where the system tells nothing of processes, any process of that pid will do."""

    def hide(method: str) -> None:
        original: Callable[..., Any] = getattr(Path, method)

        def refuse(path: Path, *arguments: Any) -> Any:
            if str(path) == hidden:
                raise FileNotFoundError(hidden)
            return original(path, *arguments)

        monkeypatch.setattr(Path, method, refuse)

    for method in ("read_bytes", "read_text", "readlink"):
        hide(method)
    record = capture.host()

    assert record == HostRecord(record.host, record.user, os.getpid(), "")
    assert capture.process_is_alive(os.getpid(), "boot:1:2") is True


@on_linux
def test_host_of_process_with_odd_name_is_told_apart(tmp_path: Path) -> None:
    """Blanks and brackets in a program's name do not confuse the reading of its start."""
    program = (
        "import json, os; from lineage.capture import host, process_is_alive as alive\n"
        "open('/proc/self/comm', 'w').write('a) R 1 (b')\n"
        "record = host(); print(json.dumps([record.process, alive(record.pid, record.process)]))"
    )

    process, alive = python("-c", program, cwd=tmp_path)

    assert alive is True
    assert int(process.split(":")[1]) > 1


# Another program


def test_code_of_command_names_its_script_and_keeps_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first argument that is a file of the working folder is the script."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print(1)")

    record = capture.code_of(["python", "train.py", "--lr", "0.1"])

    assert record.command == ("python", "train.py", "--lr", "0.1")
    assert record.script == "train.py"
    assert record.script_digest == "eb0a329935d3b4eeb3296baab288f2594cb32f3152f5d26a98bb4ef488a954b2"


def test_code_of_command_takes_no_interpreter_for_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is given by its path is a file as well, and never changes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("pass")

    assert capture.code_of([sys.executable, "train.py"]).script == "train.py"
    assert str(capture.code_of([sys.executable, "-c", "pass"]).script).endswith(Path(sys.executable).resolve().name)


def test_code_of_command_takes_no_data_file_for_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program reads is not what runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("1")

    assert capture.code_of(["wc", "-l", "d.csv"]).script is None


@pytest.mark.parametrize("words", [["true"], ["a\0b"], []], ids=["no file", "no path", "nothing"])
def test_code_of_command_without_a_file_has_no_script(words: list[str]) -> None:
    """Nothing is made up, and nothing raises."""
    assert capture.code_of(words).script is None


# Cost


def test_import_capture_loads_nothing_heavy(tmp_path: Path) -> None:
    """Programs that start no run do not pay for what is only needed then."""
    program = (
        f"import json, sys, types\nsys.path[:0] = {sys.path!r}\n"
        # a package without its __init__, so that only what capture loads is seen; -S: without that of .pth files
        f"package = sys.modules['lineage'] = types.ModuleType('lineage'); package.__path__ = [{ROOT + '/lineage'!r}]\n"
        "import lineage.capture\n"
        "heavy = ['subprocess', 'importlib.metadata', 'getpass', 'platform', 'argparse', 'decimal', 'uuid', 'numpy']\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )

    assert python("-S", "-c", program, cwd=tmp_path) == []
