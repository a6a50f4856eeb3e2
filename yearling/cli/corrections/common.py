"""What the commands about corrections share: whose they are, and how an entry is printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.people import acting_person_id
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.feedback import FeedbackLog
    from yearling.store import Correction

ACTING_PERSON = typer.Option(None, "--as", help="Name or id of the person whose corrections these are; default: the owner.")
TEAM = typer.Option(False, "--team", help="Propose it to the team, which judges it, instead of keeping it for yourself.")

NEXT_MESSAGE = "It is answered this way from the next message on."
_STATES = {
    "suggested": "waits for you to confirm it",
    "active": "in use",
    "proposed": "proposed to the team; until it decides, in use for you alone",
    "declined": "declined by the team; in use for nobody",
}


@contextmanager
def open_log(data_dir: Path | None, acting_person: str | None) -> Iterator[tuple[FeedbackLog, str]]:
    """Open the store with its feedback log. Yields the log and the id of the person who acts. Raises NotFound."""
    from yearling.feedback import FeedbackLog
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        log = FeedbackLog(store)
        yield log, acting_person_id(store, acting_person)


def correction_dict(correction: Correction) -> dict[str, Any]:
    """An entry as JSON values."""
    return asdict(correction)


def describe_state(correction: Correction) -> str:
    """The state of an entry in words."""
    return _STATES[correction.state] if correction.active else "switched off"


def short_state(correction: Correction) -> str:
    """The state of an entry in a word or two: `in use`, `off`, `suggested`, or with `team:` before it."""
    word = "off" if not correction.active else "in use" if correction.state == "active" else correction.state
    return f"team: {word}" if correction.scope == "team" else word
