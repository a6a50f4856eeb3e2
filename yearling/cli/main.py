"""`yearling`: registers the nouns and turns errors into sentences. Each noun lives in a file of its own.

Rooms are imported inside the commands, so that `yearling --help` answers at once.
"""

from __future__ import annotations

import sys

import typer

from yearling import __version__
from yearling.cli import backup as store
from yearling.cli import bench, chat, consensus, conversations, doctor, exam, feedback, lessons, model, people, serve, spec, train
from yearling.cli.console import print_error
from yearling.errors import UserError

app = typer.Typer(
    name="yearling",
    help="An assistant that you own and that learns on the job.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("chat")(chat.chat)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.command("backup")(store.backup)
app.command("restore")(store.restore)
app.command("verify")(store.verify)
app.add_typer(model.app, name="model")
app.add_typer(people.app, name="people")
app.add_typer(conversations.app, name="conversations")
app.add_typer(feedback.app, name="feedback")
app.add_typer(consensus.app, name="consensus")
app.add_typer(lessons.app, name="lessons")
app.add_typer(train.app, name="train")
app.add_typer(spec.app, name="spec")
app.add_typer(exam.app, name="exam")
app.add_typer(bench.app, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"yearling {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
) -> None:
    pass


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 an error the user can fix, 2 wrong usage, 130 interrupted."""
    try:
        app()
    except UserError as error:
        print_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe left (`yearling model list | head`): nothing to say, and nobody to say it to.
        sys.stderr.close()
        sys.exit(0)
