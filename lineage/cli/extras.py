"""Commands beside the work: demo, completion."""

from __future__ import annotations

from pathlib import Path

import click

from lineage.cli.context import Settings, command
from lineage.cli.output import emit
from lineage.exports import visible


@command()
@click.argument("folder", default="lineage-demo", metavar="[FOLDER]")
def demo(_: Settings, folder: str) -> None:
    """Run a small pipeline on real data, and ask about it.

    It learns to read handwritten digits; the project goes into FOLDER, lineage-demo if not said.
    """
    from lineage import demo as program

    program.main(Path(folder), lambda line: emit(visible(line)))


@command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, _: Settings, shell: str) -> None:
    """Print the script that lets a shell complete what one types.

    As in:

    lineage completion bash > ~/.local/share/bash-completion/completions/lineage
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    kinds = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    emit(kinds[shell](context.find_root().command, {}, "lineage", "_LINEAGE_COMPLETE").source())
