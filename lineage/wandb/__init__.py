"""W&B's API on a local project file: ``import lineage.wandb as wandb`` is the one line of a script that changes.

::

    import lineage.wandb as wandb

    with wandb.init(project="mnist", job_type="train", config={"lr": 3e-4}) as run:
        data = run.use_artifact("mnist-raw:latest").download()
        run.log({"loss": 0.5})
        model = wandb.Artifact("convnet", type="model")
        model.add_file("weights.pt")
        run.log_artifact(model, aliases=["best"])

The project ``mnist`` is the file ``mnist.lineage`` in ``WANDB_DIR`` or the working folder; ``lineage.open`` and the
command line answer questions about it. There is no account, no server and no network. README.md says what differs.
For code that cannot be edited, :func:`install` puts this module in the place of ``wandb``, and
``python -m lineage.wandb script.py`` runs a script so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from lineage import __version__
from lineage.wandb import apis, data_types, env, errors, plot, sdk, util
from lineage.wandb.apis import public
from lineage.wandb.apis.public import Api
from lineage.wandb.data_types import (
    Audio,
    Classes,
    Graph,
    Histogram,
    Html,
    Image,
    JoinedTable,
    Molecule,
    Object3D,
    Plotly,
    Table,
    Video,
)
from lineage.wandb.errors import CommError, Error, UnsupportedError, UsageError
from lineage.wandb.install import install
from lineage.wandb.plot import plot_table
from lineage.wandb.proxies import ActiveConfig, ActiveSummary, of_active_run
from lineage.wandb.sdk.artifacts.artifact import Artifact
from lineage.wandb.sdk.artifacts.artifact_ttl import ArtifactTTL
from lineage.wandb.sdk.wandb_alerts import AlertLevel
from lineage.wandb.sdk.wandb_config import Config
from lineage.wandb.sdk.wandb_init import active, finish, init, login, setup, teardown
from lineage.wandb.sdk.wandb_run import Run
from lineage.wandb.sdk.wandb_settings import Settings
from lineage.wandb.term import termerror, termlog, termwarn

__all__ = [
    "AlertLevel",
    "Api",
    "Artifact",
    "ArtifactTTL",
    "Audio",
    "Classes",
    "CommError",
    "Config",
    "Error",
    "Graph",
    "Histogram",
    "Html",
    "Image",
    "JoinedTable",
    "Molecule",
    "Object3D",
    "Plotly",
    "Run",
    "Settings",
    "Table",
    "UnsupportedError",
    "UsageError",
    "Video",
    "__version__",
    "alert",
    "apis",
    "config",
    "data_types",
    "define_metric",
    "env",
    "errors",
    "finish",
    "init",
    "install",
    "join",
    "link_artifact",
    "link_model",
    "log",
    "log_artifact",
    "log_model",
    "login",
    "mark_preempting",
    "pin_config_keys",
    "plot",
    "plot_table",
    "public",
    "require",
    "restore",
    "save",
    "sdk",
    "setup",
    "summary",
    "teardown",
    "termerror",
    "termlog",
    "termwarn",
    "unwatch",
    "use_artifact",
    "use_model",
    "util",
    "watch",
]

config = ActiveConfig()
"""The config of the active run."""
summary = ActiveSummary()
"""The summary of the active run."""

log = of_active_run("log")
log_artifact = of_active_run("log_artifact")
use_artifact = of_active_run("use_artifact")
link_artifact = of_active_run("link_artifact")
log_model = of_active_run("log_model")
use_model = of_active_run("use_model")
link_model = of_active_run("link_model")
define_metric = of_active_run("define_metric")
save = of_active_run("save")
restore = of_active_run("restore")
watch = of_active_run("watch")
unwatch = of_active_run("unwatch")
alert = of_active_run("alert")
mark_preempting = of_active_run("mark_preempting")
pin_config_keys = of_active_run("pin_config_keys")
join = finish

UNSUPPORTED: dict[str, str] = {
    "sweep": "loop over the configurations, and find the best run with Api().runs(order='-summary_metrics.x')",
    "agent": "loop over the configurations, with an init() for each",
    "controller": "loop over the configurations, with an init() for each",
    "launch": "run the script, or record any program with 'lineage run'",
    "launch_add": "run the script, or record any program with 'lineage run'",
    "attach": "pass the id to the other process: wandb.init(id=..., resume='allow')",
    "EvalTable": "log a wandb.Table of the predictions",
    "box3d": "write the points to a file and add it to an artifact",
}
"""What has no meaning on a local file, and what to use instead; README.md has the same table."""


def require(*_: Any, **__: Any) -> None:
    """Accept it: there are no experimental features to ask for."""


def _unsupported(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise UnsupportedError(f"wandb.{name} has no meaning on a local project file: {UNSUPPORTED[name]}")

    return refuse


def __getattr__(name: str) -> Any:
    """Return the active run as ``wandb.run``, None if there is none; refuse what has no meaning here when called."""
    if name == "run":
        return active.run
    if name in UNSUPPORTED:
        return _unsupported(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
