"""Bugs of verifying, of reading bytes that are damaged, and of downloading into folders with traps."""

from __future__ import annotations

import os
from typing import Any

from plants import plant

from lineage.content import VerifyingReader

# --- verifying ---


@plant("lineage.upkeep.verification:byte_problems")
def bytes_are_not_looked_at(_: Any) -> Any:
    """Verify the rows alone."""
    return lambda store, seen: iter(())


@plant("lineage.upkeep.integrity:_damage")
def hashes_are_not_compared(_: Any) -> Any:
    """Read all and compare nothing."""
    return lambda where, blob: None


@plant("lineage.upkeep.integrity:_size_fault")
def sizes_are_not_compared(_: Any) -> Any:
    """Take any number of bytes for the right one."""
    return lambda where, blob, size: None


@plant("lineage.upkeep.verification:folder_problems")
def folder_is_not_looked_through(_: Any) -> Any:
    """See no strays and no strangers."""
    return lambda store: iter(())


@plant("lineage.upkeep.integrity:rows.references_with")
def versions_are_not_named(_: Any) -> Any:
    """Say what is damaged and not whom it hits."""
    return lambda connection, digests: []


@plant("lineage.upkeep.consistency:_CHECKS")
def rows_are_not_checked(checks: Any) -> Any:
    """Look at the file and at no row."""
    return checks[:1]


@plant("lineage.upkeep.consistency:_part_problems")
def parts_are_not_hashed(_: Any) -> Any:
    """Believe the parts of listings."""
    return lambda store: iter(())


@plant("lineage.upkeep.consistency:_listing_problems")
def listings_are_not_hashed(_: Any) -> Any:
    """Believe the listings."""
    return lambda store: iter(())


# --- reading and downloading ---


@plant("lineage.download:check_bytes")
def download_does_not_compare(_: Any) -> Any:
    """Give a file its name whatever its bytes are."""
    return lambda digest, entry: None


@plant("lineage.portable.packing:_check_inside")
def pack_takes_bytes_inside_as_they_lie(_: Any) -> Any:
    """Seal what came with the rows, whatever it is."""
    return lambda connection: None


@plant("lineage.content:VerifyingReader.readinto")
def open_does_not_compare(_: Any) -> Any:
    """Read on and hash nothing."""

    def readinto(self: VerifyingReader, buffer: Any) -> int:
        return self._source.readinto(buffer) or 0

    return readinto


@plant("lineage.blobs:BlobFolder.open")
def links_in_the_store_are_followed(_: Any) -> Any:
    """Open whatever has the blob's name."""
    return lambda self, digest: self.path_of(digest).open("rb")


@plant("lineage.download:_FOLDER")
def links_to_folders_are_followed(_: Any) -> Any:
    """Leave out O_NOFOLLOW."""
    return os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@plant("lineage.download:_is_right")
def links_to_files_are_followed(_: Any) -> Any:
    """Take a link or a hard link to the right bytes for the file."""

    def is_right(folder: int, name: str, entry: Any) -> bool:
        try:
            with open(os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder), "rb") as file:  # noqa: PTH123 (a descriptor)
                from blake3 import blake3

                return bool(blake3(file.read()).hexdigest() == entry.digest)
        except OSError:
            return False

    return is_right


@plant("lineage.download:_write")
def file_is_written_in_its_place(_: Any) -> Any:
    """Write under the final name, through whatever has it."""

    def write(folder: int, name: str, source: Any, entry: Any, progress: Any) -> None:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o666, dir_fd=folder)
        with open(descriptor, "wb") as target:  # noqa: PTH123 (a descriptor)
            while data := source.read(1 << 16):
                target.write(data)
                target.flush()
                if progress is not None:
                    progress(len(data))

    return write


@plant("lineage.download:_refuse_store")
def store_is_no_matter(_: Any) -> Any:
    """Download over the project."""
    return lambda store, root, entries, *, exact: None


@plant("lineage.download:unique_name")
def temporary_name_is_shared(_: Any) -> Any:
    """Let all downloads write to one temporary file."""
    return lambda: "same"
