"""All subcommands, and the handling of their errors."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from itemlens_cli.backup import backup, restore
from itemlens_cli.bench import bench
from itemlens_cli.catalog import catalog
from itemlens_cli.collections import collections
from itemlens_cli.compact import compact
from itemlens_cli.demo import demo
from itemlens_cli.doctor import doctor
from itemlens_cli.eval import evaluate
from itemlens_cli.events import events
from itemlens_cli.fit import fit
from itemlens_cli.forget import forget
from itemlens_cli.health import health
from itemlens_cli.index import index
from itemlens_cli.ingest import ingest
from itemlens_cli.items import items
from itemlens_cli.keys import keys
from itemlens_cli.mapping import mapping
from itemlens_cli.move import move
from itemlens_cli.query import query
from itemlens_cli.report import report
from itemlens_cli.rules import rules
from itemlens_cli.serve import serve
from itemlens_cli.size import size
from itemlens_cli.version import options
from itemlens_datasets.rows import MappingError
from itemlens_exporter.cli import export
from itemlens_server.errors import ItemlensError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Understand a catalogue's items and recommend them, with reasons that add up to the score.",
)
app.callback()(options)
for command in (
    export,
    serve,
    size,
    index,
    fit,
    move,
    query,
    report,
    events,
    forget,
    demo,
    doctor,
    backup,
    restore,
    compact,
    health,
    bench,
):
    app.command()(command)
app.command("eval")(evaluate)
app.add_typer(catalog, name="catalog")
app.add_typer(mapping, name="mapping")
app.add_typer(keys, name="keys")
app.add_typer(items, name="items")
app.add_typer(collections, name="collections")
app.add_typer(ingest, name="ingest")
app.add_typer(rules, name="rules")


def run() -> None:
    """Run the command line. An expected error prints one line and exits with status 1."""
    try:
        app()
    except (ItemlensError, MappingError) as error:
        _fail(error.message)
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        _fail("this command needs ONNX Runtime: pip install 'itemlens-server[server]', or [gpu] for CUDA")


def _fail(message: str) -> None:
    Console(stderr=True).print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(1)
