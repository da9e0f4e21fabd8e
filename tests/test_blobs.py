"""Bytes in, digest out: staging, the blob folder, its locks, and what lies there that should not."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from conftest import draft
from footprint import python, refused, tidy, unchanged  # noqa: F401 (fixtures are used by name)

import lineage
from lineage import CorruptionError, ErrorKind, InvalidInputError, NotFoundError, StorageError
from lineage.blobs import BlobFolder
from lineage.staging import Staged, Staging
from lineage.system import file_lock, open_source
from lineage.values import Digest

LARGE = b"x" * 100_000


def digest_of(data: bytes) -> Digest:
    """Return the digest of bytes."""
    return Digest(blake3(data).hexdigest())


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    """A staging folder."""
    return Staging(tmp_path)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobFolder:
    """A blob folder that is made."""
    folder = BlobFolder(tmp_path / "b.blobs", timeout=0.1)
    folder.make()
    return folder


class Dribble(io.RawIOBase):
    """A source that gives few bytes at a time, as a pipe or a server does."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._left, self._piece = data, piece

    def read(self, size: int = -1, /) -> bytes:
        given, self._left = self._left[: min(size, self._piece)], self._left[min(size, self._piece) :]
        return given


# --- staging ---


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 3_000_000])
@pytest.mark.parametrize("piece", [1_000, 10**9])
def test_stage_gives_the_digest_of_what_it_kept(staging: Staging, size: int, piece: int) -> None:
    """Small contents share the spool, larger ones are files; short reads lose nothing."""
    data = bytes(range(256)) * (size // 256) + b"y" * (size % 256)

    staged = staging.stage(Dribble(data, piece))

    assert (staged.digest, staged.size, staged.path is None) == (digest_of(data), size, size <= 16_384)
    with staging.open(staged) as file:
        assert file.read() == data


def test_stage_keeps_small_contents_side_by_side(staging: Staging) -> None:
    """Each stretch of the spool is its own."""
    staged = [staging.stage(io.BytesIO(text)) for text in (b"one", b"", b"three")]

    assert [staging.read(one) for one in staged] == [b"one", b"", b"three"]


def test_stage_of_a_source_that_breaks_leaves_no_file(staging: Staging) -> None:
    """An error in the middle of a read takes the copy with it."""

    class Broken(Dribble):
        def read(self, size: int = -1, /) -> bytes:
            if not self._left:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(StorageError, match="cannot stage bytes: .* Input/output error"):
        staging.stage(Broken(LARGE, 20_000))

    assert sorted(path.name for path in staging.folder.iterdir()) == ["lock", "spool"]


class Growing(type(Path())):  # type: ignore[misc]  # the platform's own path class
    """A path whose file grows whenever somebody looks at it, a given number of times."""

    looks = 0

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Let the file grow by a byte, and look."""
        type(self).looks -= 1
        if type(self).looks >= 0:
            with self.open("ab") as file:
                file.write(b"+")
        return Path(self).stat(follow_symlinks=follow_symlinks)


def test_stage_file_that_changes_once_takes_the_second_state(staging: Staging) -> None:
    """A file that was written to while it was read is read once more."""
    Path("a").write_bytes(LARGE)
    Growing.looks = 2

    staged = staging.stage_file(Growing("a"))

    assert staged.path is not None
    assert staged.path.read_bytes() == LARGE + b"++"
    assert len(list(staging.folder.iterdir())) == 3  # the lock, the spool and this copy


def test_stage_file_that_keeps_changing_is_refused(staging: Staging) -> None:
    """Twice is enough: the message says what to wait for, and no copy stays."""
    Path("a").write_bytes(LARGE)
    Growing.looks = 100

    with pytest.raises(
        InvalidInputError, match="'a' changes while it is read; log it when its writer is done"
    ) as caught:
        staging.stage_file(Growing("a"))

    assert caught.value.kind == "source-changed"
    assert sorted(path.name for path in staging.folder.iterdir()) == ["lock", "spool"]


def test_stage_file_that_is_removed_while_it_is_read_is_refused(staging: Staging) -> None:
    """A file that goes in the meantime has no state to vouch for."""
    Path("a").write_bytes(LARGE)

    class Going(type(Path())):  # type: ignore[misc]
        looks = 0

        def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
            """Look once, then remove the file."""
            type(self).looks += 1
            if type(self).looks == 2:
                self.unlink()
            return Path(self).stat(follow_symlinks=follow_symlinks)

    with pytest.raises(InvalidInputError, match="no file 'a'"):
        staging.stage_file(Going("a"))


def test_adopt_takes_over_what_was_written(staging: Staging) -> None:
    """A small file goes into the spool and its own is removed; a large one stays as it is."""
    small, large = staging.new_path(), staging.new_path()
    small.write_bytes(b"small")
    large.write_bytes(LARGE)

    found = [staging.adopt(small), staging.adopt(large)]

    assert [(one.digest, one.path) for one in found] == [(digest_of(b"small"), None), (digest_of(LARGE), large)]
    assert not small.exists()


def test_staging_goes_with_its_owner(tmp_path: Path) -> None:
    """Nobody has to close it."""
    staging = Staging(tmp_path)
    folder = staging.folder

    del staging

    assert not folder.exists()


def test_staging_in_a_forked_child_is_the_parents(tmp_path: Path) -> None:
    """A child that ends does not take its parent's bytes away."""
    program = """
import os, sys
from pathlib import Path
from lineage.staging import Staging
staging = Staging(Path())
child = os.fork()
if not child:
    del staging
    sys.exit(0)
os.waitpid(child, 0)
print(sorted(path.name for path in staging.folder.iterdir()))
"""
    done = python(program)

    assert (done.stdout, done.stderr) == ("['lock', 'spool']\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", range(6))
def test_staging_that_cannot_be_made_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """Out of descriptors at any point, there is one clear error, and no folder and no descriptor is left over."""
    program = f"""
import os, resource
from pathlib import Path
from lineage.staging import Staging
from lineage.errors import StorageError
highest = max(int(name) for name in os.listdir("/proc/self/fd")[:-1])
resource.setrlimit(resource.RLIMIT_NOFILE, (highest + {limit}, 4096))
for _ in range(3):
    try:
        Staging(Path()).close()
        print("made")
    except StorageError as error:
        print(str(error).rpartition("'")[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
print(os.listdir())
"""
    done = python(program)

    refused = " Too many open files; too many files are open in this process\n"
    assert done.stderr == ""
    assert done.stdout == ("made\n" if limit > 2 else refused) * 3 + "[]\n"


# --- sources ---


def test_open_source_of_a_closed_folder_is_a_storage_error(tmp_path: Path) -> None:
    """What may not be looked at is the place's matter."""
    done = python(
        """
import os
from pathlib import Path
from lineage.errors import StorageError
from lineage.system import open_source
try:
    with open_source(Path("/proc/1/root/etc/hostname")): pass
except StorageError as error: print("refused", error)
""",
        nobody=True,
    )

    assert done.stdout.startswith("refused cannot read: '/proc/1/root/etc/hostname' Permission denied"), done.stderr


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
def test_open_source_of_what_is_no_path_is_refused(path: str) -> None:
    """Text that no file can be called is refused as such."""
    with pytest.raises(InvalidInputError, match="is no path"), open_source(Path(path)):
        pass


# --- the blob folder ---


def test_put_gives_a_staged_file_its_place(blobs: BlobFolder) -> None:
    """A blob lies under its digest, read-only, and is the staged file and no copy of it."""
    staging = blobs.new_staging()
    staged = staging.stage(io.BytesIO(LARGE))

    blobs.put(staged)
    blobs.sync([staged.digest])

    path = blobs.root / staged.digest[:2] / staged.digest[2:]
    assert path.read_bytes() == LARGE
    assert path.stat().st_mode & 0o777 == 0o444
    assert staged.path is not None
    assert os.path.samestat(staged.path.stat(), path.stat())
    assert blobs.has(staged.digest, len(LARGE))
    assert [(digest, status.st_size) for digest, status in blobs.digests()] == [(staged.digest, len(LARGE))]


def test_put_of_what_is_there_leaves_it(blobs: BlobFolder) -> None:
    """Bytes that are there already are not written again."""
    staging = blobs.new_staging()
    blobs.put(first := staging.stage(io.BytesIO(LARGE)))
    before = blobs.path_of(first.digest).stat()

    blobs.put(staging.stage(io.BytesIO(LARGE)))

    assert os.path.samestat(before, blobs.path_of(first.digest).stat())


def test_put_replaces_a_blob_of_the_wrong_size(blobs: BlobFolder) -> None:
    """A blob that was cut off is not taken for the whole."""
    staging = blobs.new_staging()
    staged = staging.stage(io.BytesIO(LARGE))
    path = blobs.path_of(staged.digest)
    path.parent.mkdir()
    path.write_bytes(b"half")

    held = blobs.has(staged.digest, len(LARGE))
    blobs.put(staged)

    assert not held
    assert path.read_bytes() == LARGE
    assert path.stat().st_mode & 0o777 == 0o444
    assert [child.name for child in blobs.temporary.iterdir() if child.is_file()] == []


def test_put_that_was_overtaken_leaves_what_the_others_put(blobs: BlobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two programs may store the same bytes at once; the second finds them when it gives the name."""
    first, second = (Staging(blobs.temporary) for _ in range(2))
    one, other = (staging.stage(io.BytesIO(LARGE)) for staging in (first, second))
    link = os.link

    def overtaken(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        blobs.put(other)
        link(source, target)

    monkeypatch.setattr(os, "link", overtaken)
    blobs.put(one)

    assert other.path is not None
    assert os.path.samestat(blobs.path_of(one.digest).stat(), other.path.stat())


def test_put_copies_no_bytes_that_have_changed(blobs: BlobFolder) -> None:
    """A copy is hashed: what is damaged while it waits gets no name."""
    staging = blobs.new_staging()
    staged = staging.stage(io.BytesIO(LARGE))
    assert staged.path is not None
    staged.path.write_bytes(LARGE[1:])
    path = blobs.path_of(staged.digest)
    path.parent.mkdir()
    path.write_bytes(b"in the way")

    with pytest.raises(CorruptionError, match="have changed in .*; make the draft again"):
        blobs.put(staged)

    assert path.read_bytes() == b"in the way"


def test_put_where_no_hard_links_are_copies(blobs: BlobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system such as FAT has one name for a file: the draft keeps its own there too."""
    staging = blobs.new_staging()
    staged = staging.stage(io.BytesIO(LARGE))

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    blobs.put(staged)

    assert staged.path is not None
    assert staged.path.read_bytes() == blobs.path_of(staged.digest).read_bytes() == LARGE
    assert blobs.path_of(staged.digest).stat().st_mode & 0o777 == 0o444


def test_staging_that_closes_leaves_blobs_that_were_put(blobs: BlobFolder) -> None:
    """The draft's name of the bytes goes, and theirs stays."""
    staging = blobs.new_staging()
    blobs.put(staged := staging.stage(io.BytesIO(LARGE)))

    staging.close()

    assert list(blobs.temporary.iterdir()) == []
    assert blobs.path_of(staged.digest).read_bytes() == LARGE
    assert blobs.path_of(staged.digest).stat().st_nlink == 1


def test_put_from_another_file_system_copies(blobs: BlobFolder) -> None:
    """A draft may have been staged elsewhere; the copy is made whole before it gets its name."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == blobs.root.stat().st_dev:
        pytest.skip("there is no second file system")
    staging = Staging(shm)
    staged = staging.stage(io.BytesIO(LARGE))

    blobs.put(staged)

    assert blobs.path_of(staged.digest).read_bytes() == LARGE
    assert list(blobs.temporary.iterdir()) == []


def test_put_of_a_stretch_of_the_spool_is_a_mistake_of_ours(blobs: BlobFolder) -> None:
    """Small contents go into the project file."""
    with pytest.raises(ValueError, match="only staged files go beside the project"):
        blobs.put(Staged(digest_of(b"a"), 1, None))


@pytest.mark.parametrize("what", ["folder", "fifo", "link"])
def test_blob_that_is_no_file_is_never_read_through(project: lineage.Project, what: str) -> None:
    """Whatever lies at a blob's place, only a regular file with the right bytes is handed out."""
    version = project.log_artifact(draft("d", {"a": LARGE}))
    entry = version.entry("a")
    path = project.blob_folder / str(entry.digest)[:2] / str(entry.digest)[2:]
    path.rename("aside")
    match what:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(Path("aside").absolute())

    for call in (lambda: version.open("a").read(), lambda: version.download("out")):
        with pytest.raises((CorruptionError, StorageError), match="is not a regular file|Too many levels"):
            call()

    assert not Path("out/a").exists()
    if what != "folder":
        project.log_artifact(draft("e", {"a": LARGE}))
        assert version.open("a").read() == LARGE


def test_log_where_a_folder_is_in_a_blobs_place_is_a_storage_error(project: lineage.Project) -> None:
    """What cannot be put into its place is said, and nothing of the version is stored."""
    digest = digest_of(LARGE)
    (project.blob_folder / digest[:2] / digest[2:]).mkdir(parents=True)

    with refused(project, StorageError, "cannot store bytes: .* Is a directory"):
        project.log_artifact(draft("d", {"a": LARGE}))


def test_open_of_missing_bytes_names_them(project: lineage.Project) -> None:
    """A blob that is gone is an error with its digest and what to do."""
    version = project.log_artifact(draft("d", {"a": LARGE}))
    digest = str(version.entry("a").digest)
    (project.blob_folder / digest[:2] / digest[2:]).unlink()

    with pytest.raises(NotFoundError, match=f"the bytes {digest} are not in '.*p.blobs'; run verify") as caught:
        version.open("a")

    assert caught.value.kind == ErrorKind.CONTENT_MISSING


@pytest.mark.parametrize("damage", [LARGE[:-1] + b"y", LARGE[:-1], LARGE + b"x", b"", b"y" + LARGE[1:]])
def test_damaged_blob_is_never_handed_out_whole(project: lineage.Project, damage: bytes) -> None:
    """Flipped, cut or grown: whoever reads all of it meets the error, and a download writes no file."""
    version = project.log_artifact(draft("d", {"a": LARGE}))
    digest = str(version.entry("a").digest)
    path = project.blob_folder / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(damage)
    reads: list[Any] = [lambda f: f.read(), list]
    if len(damage) <= len(LARGE):  # of one that grew, the first bytes are right, and all that these read
        reads += [lambda f: f.read(len(LARGE)), lambda f: f.readinto(bytearray(len(LARGE)))]

    for read in reads:
        with pytest.raises(CorruptionError, match=f"the stored bytes of {digest} are damaged; run verify"):
            read(version.open("a"))
    with pytest.raises(CorruptionError, match="are damaged"):
        version.download("out")

    assert list(Path("out").iterdir()) == []


def test_damaged_small_blob_is_never_handed_out(project: lineage.Project) -> None:
    """Bytes inside the project file are verified as well."""
    version = project.log_artifact(draft("d", {"a": b"small"}))
    with project._store.writing() as connection:
        connection.execute("UPDATE chunk SET data = x'00'")

    with pytest.raises(CorruptionError, match="are damaged"):
        version.open("a")
    with pytest.raises(CorruptionError, match="are damaged"):
        version.download("out")
    assert list(Path("out").iterdir()) == []


def test_small_blob_whose_row_lost_its_bytes_is_missing(project: lineage.Project) -> None:
    """A row without bytes anywhere is missing content."""
    version = project.log_artifact(draft("d", {"a": b"small"}))
    with project._store.writing() as connection:
        connection.execute("DELETE FROM chunk")

    for call in (lambda: version.open("a"), lambda: version.download("out")):
        with pytest.raises(NotFoundError, match="are not in"):
            call()


@pytest.mark.parametrize("which", ["root", "tmp", "shard", "dangling root"])
def test_folder_of_the_store_that_is_a_link_is_refused(project: lineage.Project, tmp_path: Path, which: str) -> None:
    """A link would let a project write into another's blobs, or gc clear a folder that is not ours."""
    version = project.log_artifact(draft("d", {"a": LARGE}))
    victim = tmp_path / "victim"
    victim.mkdir()
    precious = victim / "precious"
    match which:
        case "root":
            project.blob_folder.rename(victim / "blobs")
            project.blob_folder.symlink_to(victim / "blobs")
        case "dangling root":
            project.blob_folder.rename(victim / "blobs")
            project.blob_folder.symlink_to(victim / "nowhere")
        case "tmp":
            (project.blob_folder / "tmp").rmdir()
            (project.blob_folder / "tmp").symlink_to(victim)
            precious.write_text("mine")
        case "shard":
            shard = project.blob_folder / version.entry("a").digest[:2]  # type: ignore[index]
            shard.rename(victim / shard.name)
            shard.symlink_to(victim / shard.name)
            precious = victim / shard.name / ("0" * 62)
            precious.write_text("mine")

    with pytest.raises(StorageError, match="is a link|cannot make the blob folder"):
        project.gc()
    with pytest.raises(StorageError, match="is a link|cannot make the blob folder"):
        project.log_artifact(draft("e", {"a": LARGE, "b": LARGE + b"2"}))
        project.gc()

    assert which not in ("tmp", "shard") or precious.read_text() == "mine"
    assert not (victim / "nowhere").exists()
    if which == "tmp":
        (project.blob_folder / "tmp").unlink()


def test_quarantine_that_is_a_link_is_refused(blobs: BlobFolder, tmp_path: Path) -> None:
    """Damaged bytes are moved aside within the store, and nowhere else."""
    staging = blobs.new_staging()
    blobs.put(staged := staging.stage(io.BytesIO(LARGE)))
    blobs.quarantine_folder.symlink_to(tmp_path)

    with pytest.raises(StorageError, match="is a link"):
        blobs.quarantine(staged.digest)

    assert blobs.has(staged.digest, len(LARGE))


# --- locks between storing and collecting ---


def test_storing_inside_storing_does_not_wait_for_a_waiting_gc(project: lineage.Project) -> None:
    """A batch holds off gc; what it logs inside must not queue up behind that gc."""
    patient = lineage.open(project.file, timeout=0.2)

    with patient.batch(), file_lock(project.blob_folder / "gate.lock", timeout=0):
        version = patient.log_artifact(draft("d", {"a": LARGE}))

    assert version.open("a").read() == LARGE


def test_storing_while_gc_collects_times_out_with_its_name(blobs: BlobFolder) -> None:
    """Who waits in vain is told for whom."""
    with blobs.collecting():
        with pytest.raises(
            lineage.BusyError, match=rf"gc.lock' is held by process {os.getpid()} on .* for longer than 0.1 s"
        ):
            blobs.storing().__enter__()
        with pytest.raises(lineage.BusyError, match="is held by process"):
            blobs.collecting().__enter__()


def test_draft_made_while_gc_collects_stages_elsewhere(
    project: lineage.Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A draft need not wait for a store that is busy: another folder serves."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lineage.open(project.file, timeout=0.05)

    with project._store.blobs.collecting():
        artifact = draft("d", {"a": LARGE})

    assert artifact.size == len(LARGE)
    assert project.log_artifact(artifact).open("a").read() == LARGE
