"""Settings: what ``init`` was told, by argument, ``settings=`` or the environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from lineage.values import run_tag
from lineage.wandb import env
from lineage.wandb.errors import UsageError

MODES: Final = ("online", "offline", "shared", "disabled", "dryrun", "run")
RESUMES: Final = ("allow", "must", "never", "auto")
_LONGEST_LABEL: Final = 512
_NO: Final = ("0", "false", "no", "n", "off", "f")
REINITS: Final = ("default", "return_previous", "finish_previous", "create_new")

_USED: Final[dict[str, str]] = {
    "project": env.PROJECT,
    "entity": env.ENTITY,
    "root_dir": env.DIR,
    "mode": env.MODE,
    "run_id": env.RUN_ID,
    "run_name": env.NAME,
    "run_notes": env.NOTES,
    "run_tags": env.TAGS,
    "run_group": env.RUN_GROUP,
    "run_job_type": env.JOB_TYPE,
    "resume": env.RESUME,
    "resume_from": "WANDB_RESUME_FROM",
    "fork_from": "WANDB_FORK_FROM",
    "reinit": "",
    "allow_val_change": "",
    "silent": "",
    "quiet": "",
}
"""The settings that mean something here, and the environment variable that gives each where nothing else does."""

_ACCEPTED: Final = frozenset(
    """allow_media_symlink allow_offline_artifacts anonymous api_key app_url_override azure_account_url_to_access_key
    base_url capture_loggers code_dir config_paths console console_chunk_max_bytes console_chunk_max_seconds
    console_multipart credentials_file disable_code disable_git disable_git_fork_point disable_job_creation docker email
    finish_timeout finish_timeout_raises force git_commit git_remote git_remote_url git_root heartbeat_seconds host
    http_proxy https_proxy identity_token_file ignore_globs init_timeout insecure_disable_ssl job_name job_source
    label_disable launch launch_config_path login_timeout max_end_of_run_history_metrics
    max_end_of_run_summary_metrics notebook_name organization program program_abspath program_relpath relogin resumed
    sagemaker_disable save_code settings_system show_colors show_emoji show_errors show_info show_warnings start_method
    stop_fn stop_on_fatal_error strict summary_timeout summary_warnings sweep_id sweep_param_path symlink
    sync_tensorboard table_raise_on_max_row_limit_exceeded use_dot_wandb username""".split()  # noqa: SIM905 (ninety quoted words are no better to read)
)
"""W&B's other settings, of servers, consoles and machines: accepted, and without effect; so is ``x_...``."""


class Settings:
    """What ``init`` is told beside its arguments; a name that W&B does not know is refused.

    Raises:
        ValueError: There is no such setting, or its value is none of those it may have.

    Example:
        >>> Settings(project="mnist", console="off").project
        'mnist'
    """

    project: str | None
    entity: str | None
    root_dir: str | None
    mode: str | None
    run_id: str | None
    run_name: str | None
    run_notes: str | None
    run_tags: tuple[str, ...] | None
    run_group: str | None
    run_job_type: str | None
    resume: str | None
    resume_from: str | None
    fork_from: str | None
    reinit: str | bool | None
    allow_val_change: bool | None
    silent: bool | None
    quiet: bool | None

    def __init__(self, **settings: Any) -> None:
        for name in settings:
            if name not in _USED and name not in _ACCEPTED and not name.startswith(("x_", "_")):
                raise ValueError(f"there is no setting {name!r}")
        for name in _USED:
            setattr(self, name, settings.get(name))
        self.others: dict[str, Any] = {name: value for name, value in settings.items() if name not in _USED}
        self._check()

    def _check(self) -> None:
        if self.mode is not None and self.mode not in MODES:
            raise ValueError(f"mode {self.mode!r}: Input should be one of {', '.join(map(repr, MODES))}")
        if isinstance(self.resume, bool):
            self.resume = "auto" if self.resume else None
        if self.resume is not None and self.resume not in RESUMES:
            raise ValueError(f"resume {self.resume!r}: Input should be one of {', '.join(map(repr, RESUMES))}")
        if isinstance(self.reinit, bool):
            self.reinit = "finish_previous" if self.reinit else "default"
        if self.reinit is not None and self.reinit not in REINITS:
            raise ValueError(f"reinit {self.reinit!r}: Input should be one of {', '.join(map(repr, REINITS))}")
        if self.run_tags is not None:
            self.run_tags = (self.run_tags,) if isinstance(self.run_tags, str) else tuple(self.run_tags)

    def __getattr__(self, name: str) -> Any:
        others: dict[str, Any] = self.__dict__.get("others", {})
        if name in others or name in _ACCEPTED:
            return others.get(name)
        raise AttributeError(f"there is no setting {name!r}")

    def __repr__(self) -> str:
        given = {name: getattr(self, name) for name in _USED if getattr(self, name) is not None}
        return f"<Settings {given | self.others}>"

    def updated(self, changes: Mapping[str, Any]) -> Settings:
        """Return settings with others in their place, where those are not None."""
        now = {name: getattr(self, name) for name in _USED} | self.others
        return Settings(**{**now, **{name: value for name, value in changes.items() if value is not None}})

    @classmethod
    def of(cls, given: Settings | Mapping[str, Any] | None, arguments: Mapping[str, Any]) -> Settings:
        """Return what holds for a run: the arguments of ``init``, before its settings, before the environment.

        Raises:
            ValueError: One of them cannot be.
            UsageError: `given` is neither settings nor a mapping.
        """
        if given is not None and not isinstance(given, Settings | Mapping):
            raise UsageError(f"settings {given!r}: give wandb.Settings or a dict")
        said = given if isinstance(given, Settings) else cls(**(given or {}))
        return cls(**_environment()).updated(vars(said) | said.others | {"others": None}).updated(arguments)


def _environment() -> dict[str, Any]:
    found: dict[str, Any] = {name: env.value(variable) for name, variable in _USED.items() if variable}
    if found["run_tags"] is not None:
        found["run_tags"] = tuple(env.get_tags())
    if env.is_true(env.RESUME) or (found["resume"] or "").lower() in _NO:
        found["resume"] = "auto" if env.is_true(env.RESUME) else None
    if env.is_true(env.DISABLED):
        found["mode"] = "disabled"
    return {name: value for name, value in found.items() if value is not None}


def listed_tags(tags: Iterable[str] | str | None) -> tuple[str, ...]:
    """Return tags as a tuple, each once; one text is one tag."""
    return (tags,) if isinstance(tags, str) else tuple(dict.fromkeys(tags or ()))


def safe_label(text: str | None) -> str | None:
    """Return a name, group or job type as lineage keeps it: W&B takes line breaks, any length, and empty for none."""
    if not isinstance(text, str):
        return text
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()[:_LONGEST_LABEL] or None


def checked_tags(tags: Iterable[str] | str | None) -> list[str]:
    """Return the tags of a run as a list, each once.

    Raises:
        ValueError: One is empty, longer than 64 signs, or no text.
    """
    return [run_tag(tag) for tag in listed_tags(tags)]
