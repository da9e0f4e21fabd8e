"""Programs that import wandb by name and get lineage.wandb: by install(), and by ``python -m lineage.wandb``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lineage

SCRIPT = """
import sys
import wandb
from wandb import Artifact
from wandb.errors import CommError
from wandb.sdk.artifacts.exceptions import ArtifactNotLoggedError
from wandb.sdk.lib.config_util import ConfigError
import wandb.apis.public
with wandb.init(project="p", id="x", config={"arguments": sys.argv[1:]}) as run:
    artifact = Artifact("data", type="dataset")
    try:
        artifact.version
    except ArtifactNotLoggedError:
        run.log_artifact(artifact)
    try:
        run.use_artifact("none:latest")
    except CommError:
        run.summary["caught"] = True
print(wandb.__name__, wandb.Api().run("p/x").state)
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WANDB_SILENT": "true"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def installed(text: str) -> str:
    """Run a program that begins with install(), and return what it printed."""
    done = python("-c", f"import lineage.wandb\nlineage.wandb.install()\n{text}")
    assert done.stderr == ""
    return done.stdout.strip()


def test_module_runs_a_script_that_imports_wandb() -> None:
    """``python -m lineage.wandb script.py`` runs a script unchanged, with its arguments."""
    Path("script.py").write_text(SCRIPT)
    done = python("-m", "lineage.wandb", "script.py", "--lr", "3")

    assert (done.stdout, done.stderr) == ("lineage.wandb finished\n", "")
    run = lineage.open("p.lineage").run("x")
    assert (run.config, run.summary["caught"], len(run.logged_artifacts())) == ({"arguments": ["--lr", "3"]}, True, 1)


def test_module_runs_a_script_that_imports_its_neighbours() -> None:
    """A script's own folder is where its imports are looked for."""
    Path("d").mkdir()
    Path("d/neighbour.py").write_text("VALUE = 7")
    Path("d/script.py").write_text("import neighbour, sys\nprint(neighbour.VALUE, __name__, sys.argv)")

    assert python("-m", "lineage.wandb", "d/script.py").stdout == "7 __main__ ['d/script.py']\n"


@pytest.mark.parametrize(
    ("ending", "code", "status"), [("raise ValueError('no')", 1, "failed"), ("sys.exit(3)", 3, "failed")]
)
def test_module_ends_as_the_script_does(ending: str, code: int, status: str) -> None:
    """A script that fails fails its run and the program."""
    Path("script.py").write_text(f"import sys, wandb\nwandb.init(project='p', id='x')\n{ending}")

    assert python("-m", "lineage.wandb", "script.py").returncode == code
    assert lineage.open("p.lineage").run("x").status == status


@pytest.mark.parametrize("arguments", [[], ["none.py"]])
def test_module_without_a_script_says_how_to_call_it(arguments: list[str]) -> None:
    """No script, or none of that name, is a message and an exit code."""
    done = python("-m", "lineage.wandb", *arguments)

    assert done.returncode == 1
    assert "usage" in done.stderr or "none.py" in done.stderr


def test_install_gives_the_same_module() -> None:
    """After install, ``import wandb`` is lineage.wandb, and a second call changes nothing."""
    text = "import wandb\nassert lineage.wandb.install() is wandb is lineage.wandb\nprint(wandb.__name__)"

    assert installed(text) == "lineage.wandb"


PATHS = [
    "wandb.errors.CommError",
    "wandb.errors.errors.UsageError",
    "wandb.sdk.artifacts.exceptions.ArtifactFinalizedError",
    "wandb.sdk.artifacts.artifact.Artifact",
    "wandb.sdk.artifacts.artifact_ttl.ArtifactTTL",
    "wandb.sdk.artifacts.staging.get_staging_dir",
    "wandb.sdk.artifacts._validators.validate_aliases",
    "wandb.sdk.lib.config_util.ConfigError",
    "wandb.sdk.lib.runid.generate_id",
    "wandb.sdk.lib.RunDisabled",
    "wandb.sdk.wandb_run.Run",
    "wandb.sdk.wandb_settings.Settings",
    "wandb.wandb_run.Run",
    "wandb.env.get_artifact_dir",
    "wandb.util.make_artifact_name_safe",
    "wandb.apis.public.Run",
    "wandb.data_types.Table",
    "wandb.plot.line",
]


def test_install_covers_the_paths_that_programs_import() -> None:
    """The dotted paths of W&B that programs import from are there, and are the same objects."""
    lines = [
        f"from {path.rpartition('.')[0]} import {path.rpartition('.')[2]} as _{number}"
        for number, path in enumerate(PATHS)
    ]
    text = "\n".join(
        [*lines, "import wandb", f"assert _{PATHS.index('wandb.errors.CommError')} is wandb.CommError", "print('all')"]
    )

    assert installed(text) == "all"


def test_install_after_wandb_itself_is_refused() -> None:
    """Where W&B's package was imported before, install says so instead of mixing the two."""
    text = """
import sys, types
sys.modules["wandb"] = types.ModuleType("wandb")
import lineage.wandb
try:
    lineage.wandb.install()
except lineage.wandb.UsageError as error:
    print(error)
"""
    done = python("-c", text)

    assert "before the first import of wandb" in done.stdout


def test_install_lets_worker_processes_have_it_too() -> None:
    """A process that is forked from an installed one imports the same."""
    text = """
import os
child = os.fork()
if child == 0:
    import wandb
    os._exit(0 if wandb.__name__ == "lineage.wandb" else 1)
print(os.waitpid(child, 0)[1])
"""

    assert installed(text) == "0"


SPAWNING = """
import multiprocessing, os, subprocess, sys
import wandb

def work(number):
    import wandb.errors
    from wandb.sdk.artifacts.exceptions import ArtifactNotLoggedError
    return wandb.__name__, wandb.errors is sys.modules["lineage.wandb.errors"]

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(*pool.map(work, [1]))
    program = "import wandb; print(wandb.__name__)"
    print(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip())
    print(os.environ["PYTHONPATH"].split(os.pathsep)[0])
"""


def test_module_gives_it_to_the_processes_that_a_script_starts() -> None:
    """Processes that a script spawns import the same, and nothing of that is left when the script ends."""
    Path("script.py").write_text(SPAWNING)
    spawned, started, folder = python("-m", "lineage.wandb", "script.py").stdout.splitlines()

    assert (spawned, started) == ("('lineage.wandb', True)", "lineage.wandb")
    assert not Path(folder).exists()


def test_import_leaves_heavy_packages_alone() -> None:
    """``import lineage.wandb`` loads none of the packages that only some calls need."""
    heavy = ["numpy", "pandas", "pyarrow", "PIL", "networkx", "sqlite_utils", "pydantic", "torch", "matplotlib"]
    done = python("-c", f"import sys, lineage.wandb\nprint([name for name in {heavy!r} if name in sys.modules])")

    assert done.stdout == "[]\n"
