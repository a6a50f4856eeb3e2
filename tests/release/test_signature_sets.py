"""Random sets of signatures: what is below the threshold is never accepted, and nothing counts twice.

Every set is published with a proper snapshot and timestamp, so that only the signatures can make the client refuse it. An oracle
that knows how each signature was made counts the holders who truly signed.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Targets

from tests.release.conftest import Installation
from tests.release.forgery import Forger, stranger
from yearling.release.metadata import make_snapshot, make_timestamp, sign_bytes


@dataclass
class Roles:
    """Who may sign: the holders, strangers, and a holder whose key was revoked."""

    holders: list[CryptoSigner]
    others: list[CryptoSigner]
    threshold: int


def random_signatures(
    random_: random.Random, roles: Roles, payload: bytes, altered: bytes
) -> tuple[list[dict[str, Any]], int, bool]:
    """(signatures, number of holders who truly signed, whether a key id occurs twice)"""
    signatures: list[dict[str, Any]] = []
    signed_by: set[str] = set()
    for _ in range(random_.randrange(8)):
        kind = random_.choice(["holder", "holder", "holder", "stranger", "altered", "swapped", "broken", "repeated", "case"])
        holder = random_.choice(roles.holders)
        if kind == "repeated" and signatures:
            signatures.append(dict(random_.choice(signatures)))
            continue
        signer = random_.choice(roles.others) if kind == "stranger" else holder
        signature = signer.sign(altered if kind == "altered" else payload).to_dict()
        if kind == "swapped":
            signature["keyid"] = random_.choice([*roles.holders, *roles.others]).public_key.keyid
        elif kind == "broken":
            position = random_.randrange(128)
            digit = "0" if signature["sig"][position] != "0" else "1"
            signature["sig"] = signature["sig"][:position] + digit + signature["sig"][position + 1 :]
        elif kind == "case":
            signature["keyid"] = signature["keyid"].upper()
        is_true = signature["keyid"] == signer.public_key.keyid and kind in ("holder", "swapped", "repeated")
        if is_true and signer in roles.holders:
            signed_by.add(signature["keyid"])
        signatures.append(signature)
    # A later bad signature under the same id does not undo the earlier one, but `tuf` refuses the file altogether.
    ids = [signature["keyid"] for signature in signatures]
    return signatures, len(signed_by), len(set(ids)) < len(ids)


def check_sets(quorum: Installation, count: int, seed: int) -> tuple[int, int]:
    """Publish random sets. Returns (how many were accepted, how many were refused)."""
    random_ = random.Random(seed)
    before = quorum.authority.state()
    revoked = quorum.key_of("Bea")
    cleo = quorum.store.people.add("Cleo")
    key = quorum.authority.create_key(cleo, passphrase="correct horse battery staple")
    pending = quorum.change("keys", add=(quorum.authority.holder_key(key.key_id),), revoke=(revoked,))
    quorum.sign(quorum.sign(pending, "Ann"), "owner")
    forger = Forger(quorum)
    roles = Roles(forger.stolen("owner", "Ann", "Cleo"), [stranger(), stranger(), forger.online(), *forger.stolen("Bea")], 2)
    online = [forger.online()]
    accepted = refused = 0
    base = quorum.authority.refresh()
    assert base.threshold == roles.threshold == before.threshold
    version = base.version
    for number in range(count):
        targets = forger.evil_targets(champion=number % 2, version=version + 1)
        other = forger.evil_targets(champion=77, version=version + 1)
        payload, altered = (Metadata[Targets](signed).signed_bytes for signed in (targets, other))
        signatures, num_signed, is_repeated = random_signatures(random_, roles, payload, altered)
        value = json.loads(sign_bytes(targets, []))
        value["signatures"] = signatures
        content = json.dumps(value).encode()
        serial = 100 + number
        snapshot = sign_bytes(make_snapshot(serial, content, version + 1, now=quorum.clock()), online)
        timestamp = sign_bytes(make_timestamp(serial, snapshot, serial, now=quorum.clock()), online)
        (forger.repository / f"{version + 1}.targets.json").write_bytes(content)
        (forger.repository / f"{serial}.snapshot.json").write_bytes(snapshot)
        (forger.repository / "timestamp.json").write_bytes(timestamp)
        state = quorum.authority.refresh()
        is_accepted = state.version == version + 1
        assert is_accepted == (num_signed >= roles.threshold and not is_repeated), (number, signatures)
        assert is_accepted == (state.problem == "")
        accepted, refused = accepted + is_accepted, refused + (not is_accepted)
        version = state.version
        (forger.repository / f"{serial}.snapshot.json").unlink()
    return accepted, refused


@pytest.mark.slow
def test_random_signature_sets(quorum: Installation) -> None:
    accepted, refused = check_sets(quorum, 60, seed=1)
    assert accepted > 3
    assert refused > 20


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_ten_thousand_random_signature_sets(quorum: Installation) -> None:
    accepted, refused = check_sets(quorum, 10_000, seed=2)
    print(f"{accepted} accepted with the threshold met, {refused} refused")
    assert accepted > 300
    assert refused > 3000


def test_damaged_signatures_of_a_pending_change_do_not_count(quorum: Installation) -> None:
    """Signatures that somebody wrote into the file of a pending change: nobody publishes it for them."""
    pending = quorum.sign(quorum.change("promote", quorum.release("learnt")), "Ann")
    path = quorum.folder / "pending" / f"{pending.id}.json"
    value = json.loads(path.read_bytes())
    (own,) = value["targets"]["signatures"]
    for extra in (
        [{"keyid": quorum.key_of("Bea"), "sig": own["sig"]}],
        [{"keyid": stranger().public_key.keyid, "sig": own["sig"]}],
        [{"keyid": quorum.key_of("Bea"), "sig": "00" * 64}, {"keyid": quorum.key_of("owner"), "sig": "not hexadecimal"}],
    ):
        value["targets"]["signatures"] = [own, *extra]
        path.write_text(json.dumps(value))
        assert quorum.reopen().state().champion == 0
        assert quorum.authority.pending()[0].signed_by == (quorum.key_of("Ann"),)
    value["targets"]["signatures"] = [own, own]
    path.write_text(json.dumps(value))
    assert quorum.reopen().state().champion == 0
