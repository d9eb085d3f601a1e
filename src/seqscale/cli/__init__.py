"""The command line: one thin file per verb; everything heavy is imported inside the verb."""

from __future__ import annotations

import sys
import traceback

import typer

from seqscale.cli.claims import claims
from seqscale.cli.export import export
from seqscale.cli.kata import kata
from seqscale.cli.lesson import lesson
from seqscale.cli.list import list_names
from seqscale.cli.machine import machine
from seqscale.cli.measure import measure
from seqscale.cli.report import report
from seqscale.cli.run import run
from seqscale.cli.status import status
from seqscale.cli.trace import trace
from seqscale.errors import SeqscaleError

INTERRUPTED = 130  # typer's own exit code for Ctrl-C

app = typer.Typer(
    name="seqscale",
    help="Measure how a sequence layer's time, memory, parallelism and recall scale with sequence length.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("run")(run)
app.command("measure")(measure)
app.command("trace")(trace)
app.command("machine")(machine)
app.command("kata")(kata)
app.command("lesson")(lesson)
app.command("claims")(claims)
app.command("status")(status)
app.command("report")(report)
app.command("export")(export)
app.command("list")(list_names)


def _version(asked: bool) -> None:
    if asked:
        from seqscale.engine.machine import versions

        print(" ".join(f"{name} {version}" for name, version in versions().items()))
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print versions and exit."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Measure how a sequence layer's time, memory, parallelism and recall scale with sequence length."""


def main() -> None:
    """Run the command line; exit 0 done, 2 misuse, 130 interrupted."""
    arguments = [word for word in sys.argv[1:] if word != "--debug"]  # it may stand anywhere, also after the verb
    try:
        app(arguments)
    except SeqscaleError as error:
        if len(arguments) < len(sys.argv) - 1:
            traceback.print_exc()
        print(f"seqscale: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            kept = ": everything measured so far is kept; the same command goes on" if arguments[:1] == ["run"] else ""
            print(f"interrupted{kept}.", file=sys.stderr)
        raise
