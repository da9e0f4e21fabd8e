"""The environment variables that scripts and launchers set for W&B; README.md lists what each does here."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

PROJECT: Final = "WANDB_PROJECT"
ENTITY: Final = "WANDB_ENTITY"
DIR: Final = "WANDB_DIR"
MODE: Final = "WANDB_MODE"
DISABLED: Final = "WANDB_DISABLED"
RUN_ID: Final = "WANDB_RUN_ID"
NAME: Final = "WANDB_NAME"
NOTES: Final = "WANDB_NOTES"
TAGS: Final = "WANDB_TAGS"
RUN_GROUP: Final = "WANDB_RUN_GROUP"
JOB_TYPE: Final = "WANDB_JOB_TYPE"
RESUME: Final = "WANDB_RESUME"
SILENT: Final = "WANDB_SILENT"
QUIET: Final = "WANDB_QUIET"
ARTIFACT_DIR: Final = "WANDB_ARTIFACT_DIR"
API_KEY: Final = "WANDB_API_KEY"
BASE_URL: Final = "WANDB_BASE_URL"

Environment = MutableMapping[str, str]


def value(name: str, default: str | None = None, env: Environment | None = None) -> str | None:
    """Return what a variable is set to; an empty one counts as not set."""
    return (os.environ if env is None else env).get(name) or default


def is_true(name: str, env: Environment | None = None) -> bool:
    """Whether a variable says yes: ``1``, ``true``, ``yes``, ``y``, ``on``, ``t`` in any case."""
    return (value(name, "", env) or "").lower() in ("1", "true", "yes", "y", "on", "t")


def get_project(default: str | None = None, env: Environment | None = None) -> str | None:
    """Return the project that the environment names."""
    return value(PROJECT, default, env)


def get_entity(default: str | None = None, env: Environment | None = None) -> str | None:
    """Return the entity that the environment names."""
    return value(ENTITY, default, env)


def get_tags(default: str = "", env: Environment | None = None) -> list[str]:
    """Return the tags that the environment names, which are set apart by commas."""
    return [tag for tag in (value(TAGS, default, env) or "").split(",") if tag]


def get_dir(default: str | None = None, env: Environment | None = None) -> str | None:
    """Return the folder of the project files."""
    return value(DIR, default, env)


def get_artifact_dir(env: Environment | None = None) -> str:
    """Return the folder that downloads go to, absolute."""
    return str(Path(value(ARTIFACT_DIR, "artifacts", env) or "artifacts").absolute())


def is_silent(env: Environment | None = None) -> bool:
    """Whether nothing is to be printed."""
    return is_true(SILENT, env)


def is_quiet(env: Environment | None = None) -> bool:
    """Whether only warnings and errors are to be printed."""
    return is_true(QUIET, env)


def is_offline(env: Environment | None = None) -> bool:
    """Whether the mode is offline; here nothing is ever online."""
    return value(MODE, None, env) == "offline"
