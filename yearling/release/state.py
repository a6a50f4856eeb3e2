"""What key-holders signed, as records: which release is served, who may decide, and the changes that they propose.

    SignedState    stands in the signed targets metadata, in the field `yearling`
    Change         one step from a signed state to the next; `changes.py` applies it
    ReleaseState   the signed state with the releases that it names, the key-holders and what is wrong

The stage of a release is derived from these records and stored nowhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from yearling.canonical import canonical_json
from yearling.errors import BadInput, malformed_as_untrusted
from yearling.store import Release

ChangeKind = Literal["start_canary", "end_canary", "promote", "rollback", "withdraw", "rules", "resume", "keys", "renew"]
"""`keys` and `renew` change the root metadata, all others the targets metadata. `renew` only sets new dates of expiry."""

CHANGE_KINDS: tuple[ChangeKind, ...] = (
    "start_canary",
    "end_canary",
    "promote",
    "rollback",
    "withdraw",
    "rules",
    "resume",
    "keys",
    "renew",
)
ROOT_KINDS: frozenset[ChangeKind] = frozenset({"keys", "renew"})

ReleaseStage = Literal["draft", "proposed", "signed", "canary", "champion", "retired", "withdrawn"]
MetadataRole = Literal["targets", "root"]

MAX_REASON_CHARS = 2000
MAX_NAME_CHARS = 200
MAX_RULES_CHARS = 200_000
MAX_HOLDERS = 50
MAX_STOP_IDS_CHARS = 40_000
"""Enough for every stop that can be in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHolder:
    """One of the people whose signatures decide, with their key."""

    key_id: str
    name: str
    person_id: str
    is_stored: bool = False
    """The private key lies on this machine."""
    is_protected: bool = True
    """The stored private key needs a passphrase. True for a key that is kept elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderKey:
    """A key that a change adds: the Ed25519 public key in hexadecimal, and whose it is."""

    public: str
    name: str
    person_id: str

    @property
    def key_id(self) -> str:
        """SHA-256 of the canonical form of the public key (TUF specification, 4.2)."""
        return hashlib.sha256(canonical_json(ed25519_fields(self.public))).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDecision:
    """On what grounds a release was promoted.

    `gate` is the id of a record in `store.gates`, empty without one, and `gate_sha256` the hash of its canonical JSON. `override`
    is the reason for which the key-holders promoted a release that was not proven; empty where the gate allowed it.
    """

    gate: str = ""
    gate_sha256: str = ""
    decision: str = "INCONCLUSIVE"
    override: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a proposal would change."""

    kind: ChangeKind
    release: int | None = None
    reason: str = ""
    decision: ReleaseDecision | None = None
    """For `promote` and `start_canary`."""
    rules: str | None = None
    """The text of the new `gates.toml`, for `rules`."""
    stop_id: str | None = None
    """The stop to lift, for `resume`; several are separated by spaces."""
    add: tuple[HolderKey, ...] = ()
    """Keys to add, for `keys`. A person has one key: a new one replaces theirs. Likewise the fields below."""
    revoke: tuple[str, ...] = ()
    threshold: int | None = None
    online: str | None = None
    """Public part of a new online key, in hexadecimal."""

    @property
    def role(self) -> MetadataRole:
        """The metadata whose holders have to sign."""
        return "root" if self.kind in ROOT_KINDS else "targets"

    @property
    def stop_ids(self) -> tuple[str, ...]:
        """The stops that a `resume` lifts."""
        return tuple((self.stop_id or "").split())


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingChange:
    """A proposed change. `signed_by` has the ids of the keys whose signatures were verified."""

    id: str
    change: Change
    proposed_by: str
    proposed_utc: datetime
    role: MetadataRole
    version: int
    threshold: int
    signed_by: tuple[str, ...] = ()
    is_published: bool = False
    """The last signature was given: the change is in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedState:
    """What the targets metadata says besides the files."""

    champion: int
    challenger: int | None = None
    champions: tuple[int, ...] = ()
    """Every champion so far in order, the present one last. A rollback names an earlier one again."""
    withdrawn: frozenset[int] = frozenset()
    decisions: Mapping[int, ReleaseDecision] = field(default_factory=dict)
    lifted: tuple[str, ...] = ()
    """Ids of the stops that were lifted."""
    audit_sequence: int = 0
    """Sequence number and hash of the newest entry of the audit log when the change was proposed."""
    audit_hash: str = ""
    proposed_by: str = ""
    proposed_utc: str = ""
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseState:
    """The verified state of the releases of this installation.

    `version` counts the signed versions. While `problem` is not empty, nothing can be promoted and `served_challenger` is None.
    """

    version: int
    champion: int | None
    challenger: int | None
    champions: tuple[int, ...]
    withdrawn: frozenset[int]
    decisions: Mapping[int, ReleaseDecision]
    releases: Mapping[int, Release]
    """The signed releases by number."""
    holders: tuple[KeyHolder, ...]
    threshold: int
    expires: Mapping[str, datetime]
    """When the metadata of each role expires."""
    problem: str
    """Empty, or what expired or was damaged, and what to do about it."""
    lifted: tuple[str, ...] = ()
    proposed: frozenset[int] = frozenset()
    """Releases that a pending change names."""
    rules: str = ""
    """The signed text of `gates.toml`; empty before the first."""
    change: Change | None = None
    """The change that made this version."""
    audit_sequence: int = 0
    audit_hash: str = ""

    def stage(self, number: int) -> ReleaseStage:
        """Where a release stands."""
        if number in self.withdrawn:
            return "withdrawn"
        if number == self.champion:
            return "champion"
        if number == self.challenger:
            return "canary"
        if number in self.champions:
            return "retired"
        if number in self.proposed:
            return "proposed"
        return "signed" if number in self.releases else "draft"

    @property
    def served_challenger(self) -> int | None:
        """The challenger, unless something is wrong with the metadata: then only the champion is served."""
        return None if self.problem else self.challenger


def ed25519_fields(public: str) -> dict[str, Any]:
    """A public key as TUF writes it."""
    return {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}}


def change_to_json(change: Change) -> dict[str, Any]:
    """The change as JSON values; fields that do not apply are left out."""
    fields: dict[str, Any] = {"kind": change.kind, "reason": change.reason}
    if change.release is not None:
        fields["release"] = change.release
    if change.decision is not None:
        fields["decision"] = _decision_to_json(change.decision)
    if change.rules is not None:
        fields["rules"] = change.rules
    if change.stop_id is not None:
        fields["stop_id"] = change.stop_id
    if change.add:
        fields["add"] = [{"public": key.public, "name": key.name, "person_id": key.person_id} for key in change.add]
    if change.revoke:
        fields["revoke"] = list(change.revoke)
    if change.threshold is not None:
        fields["threshold"] = change.threshold
    if change.online is not None:
        fields["online"] = change.online
    return fields


def change_from_json(fields: Mapping[str, Any]) -> Change:
    """The inverse of `change_to_json`. Raises TypeError, ValueError or KeyError for anything else."""
    values = dict(fields)
    decision, added = values.pop("decision", None), values.pop("add", ())
    change = Change(
        **values | {"revoke": tuple(values.get("revoke", ()))},
        decision=None if decision is None else ReleaseDecision(**decision),
        add=tuple(HolderKey(**key) for key in added),
    )
    check_change(change)
    return change


def check_change(change: Change) -> None:
    """Check the form of a change. Raises BadInput."""
    if change.kind not in CHANGE_KINDS:
        raise BadInput(f"There is no change of the kind {change.kind!r}.", advice=f"Use one of {', '.join(CHANGE_KINDS)}.")
    number = change.release
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
        raise BadInput(f"{number!r} is no release number.", param="release")
    _check_text(change.reason, MAX_REASON_CHARS, "reason")
    if change.decision is not None:
        for name in ("gate", "gate_sha256", "decision", "override"):
            _check_text(getattr(change.decision, name), MAX_REASON_CHARS, name)
    if change.rules is not None and (not isinstance(change.rules, str) or len(change.rules) > MAX_RULES_CHARS):
        raise BadInput(f"Gate rules are a text of at most {MAX_RULES_CHARS} characters.", param="rules")
    if change.stop_id is not None:
        _check_text(change.stop_id, MAX_STOP_IDS_CHARS, "stop")
    for key in change.add:
        _check_text(key.name, MAX_NAME_CHARS, "name")
        _check_text(key.person_id, MAX_NAME_CHARS, "person")
        _check_public_key(key.public)
    for key_id in change.revoke:
        _check_text(key_id, MAX_NAME_CHARS, "key")
    if change.online is not None:
        _check_public_key(change.online)
    if change.threshold is not None and (isinstance(change.threshold, bool) or not isinstance(change.threshold, int)):
        raise BadInput("The threshold is a whole number.", param="threshold")


def state_to_json(state: SignedState) -> dict[str, Any]:
    """What stands in the field `yearling` of the targets metadata."""
    change = {**change_to_json(state.change), "proposed_by": state.proposed_by, "proposed_utc": state.proposed_utc}
    return {
        "champion": state.champion,
        "challenger": state.challenger,
        "champions": list(state.champions),
        "withdrawn": sorted(state.withdrawn),
        "decisions": {str(number): _decision_to_json(decision) for number, decision in sorted(state.decisions.items())},
        "lifted": list(state.lifted),
        "audit": {"sequence": state.audit_sequence, "hash": state.audit_hash},
        "change": change,
    }


def state_from_json(value: Any) -> SignedState:
    """The inverse of `state_to_json`. Raises Untrusted for anything else."""
    with malformed_as_untrusted("The signed state of the releases"):
        change = dict(value["change"])
        proposed_by, proposed_utc = str(change.pop("proposed_by")), str(change.pop("proposed_utc"))
        challenger = value["challenger"]
        return SignedState(
            champion=int(value["champion"]),
            challenger=None if challenger is None else int(challenger),
            champions=tuple(int(number) for number in value["champions"]),
            withdrawn=frozenset(int(number) for number in value["withdrawn"]),
            decisions={int(number): ReleaseDecision(**fields) for number, fields in value["decisions"].items()},
            lifted=tuple(str(stop) for stop in value["lifted"]),
            audit_sequence=int(value["audit"]["sequence"]),
            audit_hash=str(value["audit"]["hash"]),
            proposed_by=proposed_by,
            proposed_utc=proposed_utc,
            change=change_from_json(change),
        )


def clean_change(change: Change) -> Change:
    """The change with the white space in its texts made plain, as it is signed. Raises BadInput as `check_change`."""
    decision = change.decision
    if decision is not None:
        decision = replace(decision, override=_one_line(decision.override))
    cleaned = replace(change, reason=_one_line(change.reason), decision=decision)
    check_change(cleaned)
    return cleaned


def _decision_to_json(decision: ReleaseDecision) -> dict[str, str]:
    return {
        "gate": decision.gate,
        "gate_sha256": decision.gate_sha256,
        "decision": decision.decision,
        "override": decision.override,
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _check_text(text: object, limit: int, name: str) -> None:
    if not isinstance(text, str) or len(text) > limit:
        raise BadInput(f"The {name} is a text of at most {limit} characters.", param=name)
    if not text.isprintable():
        raise BadInput(f"The {name} contains control characters.", advice="Write it without them.", param=name)


def _check_public_key(public: object) -> None:
    if not isinstance(public, str) or len(public) != 64 or set(public) - set("0123456789abcdef"):
        raise BadInput("A public key is 64 hexadecimal digits in lower case.", advice="Copy what `release key new` printed.")
