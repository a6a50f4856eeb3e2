"""Private keys on this machine: one file each, readable by its owner alone.

    keys/<key id>.json    whose key it is, and the private key in PKCS8, encrypted with the holder's passphrase
    keys/<key id>.pem     the online key of the server, not encrypted: it can renew what the key-holders signed, nothing else

A key that is not encrypted is made only for an installation with one person. A holder may also keep their key elsewhere
(`write_key_file`) and sign with it there.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.errors import BadInput, Conflict, NotAllowed, NotFound, Untrusted, malformed_as_untrusted
from yearling.files.atomic import atomic_write_bytes, atomic_write_json
from yearling.files.disk import translate_disk_errors
from yearling.files.reading import open_regular_file
from yearling.files.sync import make_directory
from yearling.release.json_reading import read_json
from yearling.release.state import KeyHolder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import CryptoSigner

MIN_PASSPHRASE_CHARS = 12
"""PKCS8 stretches a passphrase little, so it has to be long."""
MAX_KEY_FILE_BYTES = 16_384

_KEY_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A private key on this machine. `pem` is PKCS8, encrypted if `is_protected`."""

    key_id: str
    public: str
    name: str
    person_id: str
    is_protected: bool
    pem: str

    @property
    def holder(self) -> KeyHolder:
        """Whose key it is."""
        return KeyHolder(
            key_id=self.key_id,
            name=self.name,
            person_id=self.person_id,
            is_stored=True,
            is_protected=self.is_protected,
        )


class KeyFolder:
    """The private keys in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, *, name: str, person_id: str, passphrase: str) -> StoredKey:
        """Make and store a key; an empty passphrase stores it unencrypted. Raises BadInput for a short passphrase."""
        private = new_private_key()
        return self._store(private, name=name, person_id=person_id, passphrase=passphrase)

    def protect(self, key_id: str, passphrase: str, *, old_passphrase: str = "") -> StoredKey:
        """Encrypt a stored key with a new passphrase. Raises NotFound, NotAllowed, BadInput."""
        stored = self.get(key_id)
        private = open_private_key(stored.pem.encode(), old_passphrase)
        require_passphrase(passphrase)
        return self._store(private, name=stored.name, person_id=stored.person_id, passphrase=passphrase)

    def list(self) -> list[StoredKey]:
        """The keys of people. Damaged files are left out; `get` says what is wrong with them."""
        found = []
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []:
            try:
                found.append(_read(path))
            except Untrusted:
                continue
        return found

    def get(self, key_id: str) -> StoredKey:
        """A stored key. Raises NotFound, Untrusted if its file is damaged."""
        path = self.folder / f"{key_id}.json"
        if not _KEY_ID.fullmatch(key_id) or not path.exists():
            raise NotFound(f"The key {key_id[:12]} is not stored on this machine.", advice="Sign with --key FILE.")
        return _read(path)

    def signer(self, key_id: str, passphrase: str) -> CryptoSigner:
        """The signer of a stored key. Raises NotFound, NotAllowed for a wrong passphrase."""
        return signer_of(open_private_key(self.get(key_id).pem.encode(), passphrase))

    def create_online_key(self) -> str:
        """Make and store a key for the server. Returns its public part in hexadecimal."""
        private = new_private_key()
        key_id, public = _identify(private)
        with translate_disk_errors(self.folder, all_errors=True):
            make_directory(self.folder)
            atomic_write_bytes(self.folder / f"{key_id}.pem", pem_of(private, ""))
        return public

    def online_signer(self, key_id: str) -> CryptoSigner:
        """The signer of the server. Raises NotFound if its key is not here, Untrusted if it is damaged."""
        path = self.folder / f"{key_id}.pem"
        if not path.exists():
            raise NotFound(
                f"The online key {key_id[:12]} is not on this machine.",
                advice="Restore the folder `release/keys`, or run `yearling release key rotate-online`.",
            )
        private = open_private_key(read_key_bytes(path), "")
        if _identify(private)[0] != key_id:
            raise Untrusted(f"{path} holds another key than its name says.", advice="Restore the folder `release/keys`.")
        return signer_of(private)

    def _store(self, private: Ed25519PrivateKey, *, name: str, person_id: str, passphrase: str) -> StoredKey:
        key_id, public = _identify(private)
        pem = pem_of(private, passphrase).decode()
        stored = StoredKey(key_id=key_id, public=public, name=name, person_id=person_id, is_protected=bool(passphrase), pem=pem)
        fields = {name: value for name, value in asdict(stored).items() if name != "key_id"}
        with translate_disk_errors(self.folder, all_errors=True):
            make_directory(self.folder)
            atomic_write_json(self.folder / f"{key_id}.json", fields)
        return stored


def protected_key_ids(release_folder: Path) -> set[str]:
    """The ids of the holders' keys on this machine that a passphrase encrypts."""
    return {stored.key_id for stored in KeyFolder(release_folder / "keys").list() if stored.is_protected}


def new_private_key() -> Ed25519PrivateKey:
    """A new random key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate()


def require_passphrase(passphrase: str) -> None:
    """Raises BadInput for a passphrase that is too short."""
    if len(passphrase) < MIN_PASSPHRASE_CHARS:
        raise BadInput(
            f"A passphrase has at least {MIN_PASSPHRASE_CHARS} characters.", advice="Take several words.", param="passphrase"
        )


def pem_of(private: Ed25519PrivateKey, passphrase: str) -> bytes:
    """The key in PKCS8, encrypted unless the passphrase is empty. Raises BadInput for a short passphrase."""
    from cryptography.hazmat.primitives import serialization

    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        require_passphrase(passphrase)
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def open_private_key(pem: bytes, passphrase: str) -> Ed25519PrivateKey:
    """Decrypt a key. Raises NotAllowed for a wrong or missing passphrase, Untrusted if it is no Ed25519 key in PKCS8."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    is_encrypted = b"ENCRYPTED" in pem
    try:
        private = load_pem_private_key(pem, passphrase.encode() if is_encrypted and passphrase else None)
    except TypeError:
        raise NotAllowed("This key is protected by a passphrase.", advice="Give the passphrase of its holder.") from None
    except (ValueError, UnsupportedAlgorithm):
        if is_encrypted:
            raise NotAllowed("The passphrase is wrong, or the key is damaged.", advice="Try again.") from None
        raise Untrusted("This is no private key in PKCS8.", advice="Name a file that `release key new` wrote.") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise Untrusted("This is no Ed25519 key.", advice="Name a file that `release key new` wrote.")
    return private


def write_key_file(path: Path, passphrase: str) -> str:
    """Write a new, encrypted key to a file that does not exist yet. Returns its public part in hexadecimal.

    Raises Conflict if the file exists, BadInput for a short passphrase, StorageFailed.
    """
    require_passphrase(passphrase)
    if path.exists():
        raise Conflict(f"{path} exists already.", advice="Choose another file.")
    private = new_private_key()
    with translate_disk_errors(path, all_errors=True):
        atomic_write_bytes(path, pem_of(private, passphrase))
    return _identify(private)[1]


def read_key_bytes(path: Path) -> bytes:
    """The content of a key file. Raises NotFound, BadInput if it is no regular file or too large for a key."""
    with open_regular_file(path) as file:
        content = file.read(MAX_KEY_FILE_BYTES + 1)
    if len(content) > MAX_KEY_FILE_BYTES:
        raise BadInput(f"{path} is too large for a key.", advice="Name a file that `release key new` wrote.")
    return content


def signer_of(private: Ed25519PrivateKey) -> CryptoSigner:
    """What signs metadata with a private key."""
    from securesystemslib.signer import CryptoSigner

    return CryptoSigner(private)


def _identify(private: Ed25519PrivateKey) -> tuple[str, str]:
    """(key id, public part in hexadecimal)"""
    key = signer_of(private).public_key
    return key.keyid, key.keyval["public"]


def _read(path: Path) -> StoredKey:
    with malformed_as_untrusted(f"The key file {path}"):
        try:
            fields = read_json(read_key_bytes(path))
        except (NotFound, BadInput) as error:
            raise ValueError(error.message) from None
        stored = StoredKey(key_id=path.stem, **fields)
        if stored.is_protected != ("ENCRYPTED" in stored.pem):
            raise ValueError("it says otherwise whether it is encrypted")
        return stored
