"""The command `yearling`: registers the commands and prints errors. Each noun has a file of its own.

Commands import the rooms they need when they run, so that `yearling --help` answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

import typer

from yearling import __version__
from yearling.cli.backup import backup, restore, verify
from yearling.cli.bench import app as bench_app
from yearling.cli.chat import chat
from yearling.cli.consensus import app as consensus_app
from yearling.cli.console import print_error
from yearling.cli.conversations import app as conversations_app
from yearling.cli.corrections.correct import correct
from yearling.cli.corrections.corrections import app as corrections_app
from yearling.cli.doctor import doctor
from yearling.cli.documents.commands import app as documents_app
from yearling.cli.exam import app as exam_app
from yearling.cli.feedback import app as feedback_app
from yearling.cli.jobs.commands import app as jobs_app
from yearling.cli.jobs.cycle import app as cycle_app
from yearling.cli.lessons import app as lessons_app
from yearling.cli.merging.commands import app as merge_app
from yearling.cli.model import app as model_app
from yearling.cli.people import app as people_app
from yearling.cli.releases.audit import app as audit_app
from yearling.cli.releases.incidents import app as incident_app
from yearling.cli.releases.lineage import lineage
from yearling.cli.releases.release import app as release_app
from yearling.cli.serve import serve
from yearling.cli.spec import app as spec_app
from yearling.cli.standard_streams import StandardOutput, discard_output
from yearling.cli.text_arguments import mend_text_arguments
from yearling.cli.train import app as train_app
from yearling.errors import UserError
from yearling.files.private import PRIVATE_UMASK

_UNUSABLE_PATH = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EISDIR)
"""What the system says of a path that a person gave and that is no file to read or write."""

app = typer.Typer(
    name="yearling",
    help="An assistant that you own and that learns from feedback.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("chat")(chat)
app.command("serve")(serve)
app.command("doctor")(doctor)
app.command("backup")(backup)
app.command("restore")(restore)
app.command("verify")(verify)
app.command("correct")(correct)
app.command("lineage")(lineage)
app.add_typer(model_app, name="model")
app.add_typer(people_app, name="people")
app.add_typer(conversations_app, name="conversations")
app.add_typer(corrections_app, name="corrections")
app.add_typer(documents_app, name="documents")
app.add_typer(feedback_app, name="feedback")
app.add_typer(consensus_app, name="consensus")
app.add_typer(lessons_app, name="lessons")
app.add_typer(train_app, name="train")
app.add_typer(spec_app, name="spec")
app.add_typer(exam_app, name="exam")
app.add_typer(release_app, name="release")
app.add_typer(incident_app, name="incident")
app.add_typer(audit_app, name="audit")
app.add_typer(cycle_app, name="cycle")
app.add_typer(jobs_app, name="jobs")
app.add_typer(merge_app, name="merge")
app.add_typer(bench_app, name="bench")


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"yearling {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
) -> None:
    pass


def main() -> None:
    """Entry point. Exit codes: 0 success, 1 an error that the user can fix, 2 wrong usage, 130 interrupted."""
    os.umask(PRIVATE_UMASK)
    output = StandardOutput()
    try:
        status = _run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not output.is_reader_gone():
            if output.write_error() is None:
                raise
            advice = "Send it to another place."
            status = _report(UserError(f"The output cannot be written: {error.strerror}.", advice=advice))
            discard_output()
    if output.is_reader_gone():  # as in `yearling model list | head`: the reader has what it wanted
        status = 0
        discard_output()
    sys.exit(status)


def _run() -> int | str | None:
    """Run the command, and return its exit code."""
    try:
        mend_text_arguments(typer.main.get_command(app))()
    except SystemExit as stop:
        return stop.code
    except UserError as error:
        return _report(error)
    except OSError as error:
        if error.filename is None or error.errno not in _UNUSABLE_PATH:
            raise
        path = os.fsdecode(error.filename)
        return _report(UserError(f"{path} cannot be used: {error.strerror}.", advice="Check the path and who may use it."))
    except KeyboardInterrupt:
        return 130
    return 0


def _report(error: UserError) -> int:
    with suppress(OSError):  # standard error can be full or closed too
        print_error(error)
    return 1
