"""Commands beside the work: demo, completion."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from lineage.cli.context import Settings, command
from lineage.cli.output import emit, prose
from lineage.errors import LineageError

_EXTRA: Final = frozenset({"sklearn", "numpy", "scipy", "joblib"})
"""What the demo needs beyond the library's own dependencies."""


@command()
@click.argument("folder", default="lineage-demo", metavar="[FOLDER]")
def demo(_: Settings, folder: str) -> None:
    """Run a small pipeline on real data, and ask about it.

    It learns to read handwritten digits; the project goes into FOLDER, lineage-demo if not said.
    """
    from importlib import import_module

    try:
        program = import_module("lineage.demo")
        program.main(Path(folder), lambda line: emit(prose(line)))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        message = f"the demo needs {error.name}; install the extra: pip install 'lineage-db[demo]'"
        raise LineageError(message) from error


@command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, _: Settings, shell: str) -> None:
    """Print the script that lets a shell complete what one types.

    As in:

    lineage completion bash > ~/.local/share/bash-completion/completions/lineage
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is not None:
        emit(found(context.find_root().command, {}, "lineage", "_LINEAGE_COMPLETE").source())
