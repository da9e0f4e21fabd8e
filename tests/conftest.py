"""Fixtures and Hypothesis profiles for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from ledger import ledger, pytest_addoption, pytest_terminal_summary

import lineage
from lineage.artifact import staging_home

__all__ = ["ledger", "pytest_addoption", "pytest_terminal_summary"]  # hooks and a fixture, for pytest to find

T = TypeVar("T")

settings.register_profile("default", deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
settings.register_profile("ci", settings.get_profile("default"), max_examples=100, derandomize=True)
settings.register_profile("nightly", settings.get_profile("default"), max_examples=1_000)
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:  # as in a shell's background, or under nohup: programs inherit it
        signal.signal(number, usual)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test work in a folder of its own, with no project open and none named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LINEAGE_PROJECT", raising=False)
    monkeypatch.setattr(staging_home, "store", None)
    monkeypatch.setenv("LINEAGE_CACHE", str(tmp_path / ".cache"))


@pytest.fixture
def project(tmp_path: Path) -> lineage.Project:
    """A new project, ``p.lineage`` in the test's folder."""
    return lineage.open(tmp_path / "p.lineage")


@pytest.fixture
def make_draft() -> Callable[..., lineage.Artifact]:
    """Make a draft of given files: path to text."""
    return draft


def draft(
    name: str, files: dict[str, str | bytes] | None = None, *, type: str = "dataset", **words: object
) -> lineage.Artifact:
    """Return a draft of given files."""
    artifact = lineage.Artifact(name, type, **words)  # type: ignore[arg-type]  # the test says what it gives
    for path, content in (files or {}).items():
        with artifact.new_file(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    return artifact


def elsewhere(call: Callable[[], T]) -> T:
    """Call in a thread of its own, which no batch of this one reaches."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()
