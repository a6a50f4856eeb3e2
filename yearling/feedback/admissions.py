"""Records who may judge from the start: people whom an owner or a maintainer invited, and accounts that came with an import.

The consensus is computed from the public log alone, so that anybody can repeat it. Whether an account was invited must therefore
stand in the log, under its pseudonym. An administrator can withdraw an admission as any other event (`FeedbackLog.remove`); it is
not recorded again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from yearling.clock import new_id
from yearling.feedback.event_index import EventIndex
from yearling.feedback.events import Admission, AdmissionBasis, event_to_dict
from yearling.feedback.pseudonyms import SECRET_NAME, SYSTEM_ACTOR, Pseudonyms
from yearling.store import Store


def admit_if_invited(store: Store, index: EventIndex, person_id: str, account: str) -> Admission | None:
    """Return the event that admits a person's account, or None if it was admitted before or the person signed up alone."""
    if index.was_admitted(account) or not store.people.is_invited(person_id):
        return None
    return _make_admission(account, "invitation", index.next_event_utc())


def record_missing_admissions(store: Store, index: EventIndex) -> int:
    """Admit the accounts that judged before admissions were recorded. Returns how many.

    These are invited people, and accounts that belong to nobody here: they came with an import.
    """
    with index.consistent_view():
        missing = index.accounts_without_admission()
        if not missing:
            return 0
        pseudonyms = Pseudonyms(store.secrets.get_or_create(SECRET_NAME))
        person_ids = {pseudonyms.for_person(person.id): person.id for person in store.people.list()}
        created_utc = index.next_event_utc()
        admissions = []
        for account in sorted(missing):
            person_id = person_ids.get(account)
            if person_id is None:
                admissions.append(_make_admission(account, "log", created_utc))
            elif store.people.is_invited(person_id):
                admissions.append(_make_admission(account, "invitation", created_utc))
        if admissions:
            store.events.append([event_to_dict(admission) for admission in admissions])
            index.sync()
        return len(admissions)


def admissions_for_import(
    accounts: Iterable[str], basis: AdmissionBasis, pseudonyms: Pseudonyms, created_utc: datetime
) -> list[Admission]:
    """Return the admissions of the accounts in an imported file. Importing the file again gives the same ids."""
    return [
        Admission(
            id=pseudonyms.event_id("admission", account, basis),
            created_utc=created_utc,
            actor=SYSTEM_ACTOR,
            account=account,
            basis=basis,
        )
        for account in sorted(set(accounts))
    ]


def _make_admission(account: str, basis: AdmissionBasis, created_utc: datetime) -> Admission:
    return Admission(id=new_id(), created_utc=created_utc, actor=SYSTEM_ACTOR, account=account, basis=basis)
