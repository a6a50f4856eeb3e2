"""What goes with an exported model: a CycloneDX 1.6 ML-BOM and a signature in the format of OpenSSF Model Signing.

    <folder>/<files of the model>
    <folder>/system-card.md         written by the caller
    <folder>/model.cdx.json         the ML-BOM: files with hashes, licences, base model, training data counts, exam results
    <folder>/signing-key.pub.pem    the public key, for those who know its fingerprint from elsewhere
    <folder>/model.sig              the signature over all files above

`model-signing` signs with elliptic-curve keys only (P-256, P-384, P-521) and not with the Ed25519 keys of releases, so each
installation has a key of its own for exports. A signature says which installation exported the files, not that a quorum released
them. The ML-BOM holds counts, and neither names nor texts of people. `cyclonedx-python-lib` has no class for model cards, so that
part is added to its JSON.

Sources: https://cyclonedx.org/docs/1.6/json/ and https://github.com/sigstore/model-transparency.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from yearling import __version__
from yearling.clock import now_utc
from yearling.errors import BadInput, NotFound, Untrusted, install_advice
from yearling.files.atomic import atomic_write_bytes
from yearling.files.locks import exclusive_lock
from yearling.files.reading import hash_file
from yearling.files.sync import make_directory

BOM_FILENAME = "model.cdx.json"
SIGNATURE_FILENAME = "model.sig"
PUBLIC_KEY_FILENAME = "signing-key.pub.pem"

MAX_BOM_BYTES = 16 << 20
MAX_SIGNATURE_BYTES = 16 << 20
MAX_EXPORT_FILES = 10_000
_MAX_KEY_BYTES = 1 << 16
_SPEC_VERSION = "1.6"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedBase:
    """The model below an exported adapter, or below the training of an exported model."""

    name: str
    sha256: str
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedExamResult:
    """One metric of one exam with its 95 % confidence interval over `n` independent units."""

    exam: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportDescription:
    """What the ML-BOM says of a model. `training_counts` count training data and never name anybody."""

    name: str
    model_hash: str
    architecture: str
    parameters: int
    licence: str
    source: str
    bases: Sequence[ExportedBase] = ()
    training_counts: Mapping[str, int] | None = None
    is_training_complete: bool = True
    exams: Sequence[ExportedExamResult] = ()
    limits: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedExport:
    """The result of verifying an exported folder. `faults` are sentences; without any, the files are what was signed."""

    name: str
    model_hash: str
    num_files: int
    key_fingerprint: str
    """SHA-256 of the public key that the signature was checked against."""
    is_key_from_export: bool
    """Whether that key came with the files: then the signature shows that nothing was changed, but not who signed."""
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return not self.faults


def load_or_create_export_key(folder: Path) -> tuple[Path, bool]:
    """(path of the installation's private key for exports, whether it was created now). The key is P-256, PKCS8, mode 0600."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    make_directory(folder)
    path = folder / "model-signing.pem"
    with exclusive_lock(folder / "lock"):
        if path.is_file():
            return path, False
        key = ec.generate_private_key(ec.SECP256R1())
        content = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        atomic_write_bytes(path, content)
        return path, True


def public_export_key(private_key: Path) -> bytes:
    """The public key of a private one, as PEM. Raises Untrusted if the file is no such key."""
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(private_key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise Untrusted(
            f"The key {private_key} cannot be read.", advice="Restore it from a backup, or move it away to get a new one."
        ) from None
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_fingerprint(public_key: bytes) -> str:
    """SHA-256 of a public key as PEM, in hex: what people compare."""
    return hashlib.sha256(public_key).hexdigest()


def require_attestation_packages() -> None:
    """Raises BadInput if the packages that sign and describe exports are not installed."""
    try:
        for name in ("cyclonedx", "model_signing"):
            import_module(name)
    except ImportError as error:
        raise BadInput(
            f"Exported models are signed and described with packages of which {error.name!r} is not installed.",
            advice=install_advice("train"),
        ) from None


def attest_export(folder: Path, description: ExportDescription, private_key: Path) -> None:
    """Write the ML-BOM, the public key and, last, the signature over everything in a flat folder of files.

    Raises BadInput if the packages are not installed or the folder has no files, Untrusted for an unusable key.
    """
    require_attestation_packages()
    files = _list_files(folder)
    if not files:
        raise BadInput(f"There is nothing to sign in {folder}.")
    atomic_write_bytes(folder / BOM_FILENAME, _build_bom(description, files))
    atomic_write_bytes(folder / PUBLIC_KEY_FILENAME, public_export_key(private_key))
    from model_signing import signing

    signature = folder / SIGNATURE_FILENAME
    config = signing.Config()
    config.use_elliptic_key_signer(private_key=private_key)
    config.set_hashing_config(_hashing_config(signature)).sign(folder, signature)


def verify_export(folder: Path, *, public_key: Path | None = None) -> VerifiedExport:
    """Check the signature of every file, and every hash of the ML-BOM. Reads no weights into memory and executes nothing.

    Without `public_key`, the key that came with the files is used. Raises NotFound if the folder is no export, BadInput if the
    packages are not installed or the key is no public key.
    """
    require_attestation_packages()
    signature, own_key = folder / SIGNATURE_FILENAME, folder / PUBLIC_KEY_FILENAME
    for path in (signature, folder / BOM_FILENAME, *([] if public_key else [own_key])):
        if not path.is_file():
            raise NotFound(f"{folder} has no {path.name}.", advice="Name a folder that `yearling model export` wrote.")
    key_path = public_key or own_key
    key = _read_public_key(key_path)
    faults = [*_find_signature_faults(folder, signature, key_path)]
    bom, bom_faults = _check_bom(folder)
    component = bom.get("metadata", {}).get("component", {}) if not bom_faults or bom else {}
    return VerifiedExport(
        name=str(component.get("name", "")),
        model_hash=str(component.get("version", "")),
        num_files=len(_list_files(folder)),
        key_fingerprint=key_fingerprint(key),
        is_key_from_export=public_key is None,
        faults=(*faults, *bom_faults),
    )


def _find_signature_faults(folder: Path, signature: Path, key: Path) -> list[str]:
    from model_signing import verifying

    if signature.stat().st_size > MAX_SIGNATURE_BYTES:
        return [f"{SIGNATURE_FILENAME} is larger than {MAX_SIGNATURE_BYTES:,} bytes."]
    config = verifying.Config()
    config.use_elliptic_key_verifier(public_key=key)
    config.set_hashing_config(_hashing_config(signature))
    try:
        config.verify(folder, signature)
    except Exception as error:  # the library raises what its parsers raise for a damaged signature
        reason = str(error) or type(error).__name__
        return [f"The signature does not fit: {reason[:500]}."]
    return []


def _hashing_config(signature: Path) -> Any:
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=False)


def _read_public_key(path: Path) -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        content = path.read_bytes() if path.stat().st_size <= _MAX_KEY_BYTES else b""
        key = serialization.load_pem_public_key(content)
    except (OSError, ValueError):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadInput(f"{path} is no public key of an export.", advice=f"Name a file like {PUBLIC_KEY_FILENAME}.", param="key")
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _list_files(folder: Path) -> dict[str, Path]:
    """The files that the ML-BOM describes, by name. Raises Untrusted for folders, links and too many files."""
    attestations = {BOM_FILENAME, SIGNATURE_FILENAME, PUBLIC_KEY_FILENAME}
    with os.scandir(folder) as entries:
        found = sorted((entry for entry in entries if entry.name not in attestations), key=lambda entry: entry.name)
    for entry in found:
        if not entry.is_file(follow_symlinks=False):
            raise Untrusted(f"{entry.path} is no plain file.", advice="An exported model is a flat folder of files.")
    if len(found) > MAX_EXPORT_FILES:
        raise Untrusted(f"{folder} has more than {MAX_EXPORT_FILES:,} files.")
    return {entry.name: Path(entry.path) for entry in found}


def _build_bom(description: ExportDescription, files: Mapping[str, Path]) -> bytes:
    """The ML-BOM as JSON."""
    from uuid import NAMESPACE_URL, uuid5

    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    hashes = {name: hash_file(path) for name, path in files.items()}

    def component(name: str, kind: ComponentType, sha256: str, licence: str, **fields: Any) -> Component:
        known = [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if len(sha256) == 64 else []
        return Component(name=name, type=kind, hashes=known, licenses=_licences(licence), **fields)

    main = component(
        description.name,
        ComponentType.MACHINE_LEARNING_MODEL,
        description.model_hash,
        description.licence,
        version=description.model_hash,
        bom_ref="model",
        description=f"{description.architecture}, {description.parameters:,} parameters",
        properties=[Property(name="yearling:source", value=description.source)],
    )
    parts = [component(name, ComponentType.FILE, sha256, "", bom_ref=f"file:{name}") for name, sha256 in sorted(hashes.items())]
    bases = [
        component(
            base.name,
            ComponentType.MACHINE_LEARNING_MODEL,
            base.sha256,
            base.licence,
            version=base.sha256,
            bom_ref=f"base:{base.sha256}",
            properties=[Property(name="yearling:role", value="base model")],
        )
        for base in description.bases
    ]
    bom = Bom(components=[*parts, *bases], serial_number=uuid5(NAMESPACE_URL, f"{description.model_hash} {hashes}"))
    bom.metadata.component = main
    bom.metadata.timestamp = now_utc()
    bom.metadata.tools.components.add(Component(name="yearling", type=ComponentType.APPLICATION, version=__version__))
    bom.register_dependency(main, [*parts, *bases])
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    plain: dict[str, Any] = json.loads(text)
    plain["metadata"]["component"]["modelCard"] = _model_card(description)
    return (json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _licences(licence: str) -> Iterable[Any]:
    from cyclonedx.contrib.license.factories import LicenseFactory

    return [LicenseFactory().make_from_string(licence)] if licence else []


def _model_card(description: ExportDescription) -> dict[str, Any]:
    """The part `modelCard` of CycloneDX 1.6."""
    counts = description.training_counts or {}
    properties = [{"name": f"yearling:training:{name}", "value": str(count)} for name, count in sorted(counts.items())]
    properties.append({"name": "yearling:training:complete", "value": str(description.is_training_complete).lower()})
    metrics = [
        {
            "type": f"{result.exam}: {result.metric}",
            "value": f"{result.value:.6g}",
            "slice": f"n = {result.n}",
            **(
                {"confidenceInterval": {"lowerBound": f"{result.low:.6g}", "upperBound": f"{result.high:.6g}"}}
                if result.low is not None and result.high is not None
                else {}
            ),
        }
        for result in description.exams
        if result.value is not None
    ]
    return {
        "modelParameters": {"task": "text-generation", "architectureFamily": description.architecture},
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "considerations": {"technicalLimitations": list(description.limits)},
        "properties": properties,
    }


def _check_bom(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The ML-BOM, or an empty one if it cannot be read, and what is wrong with it."""
    path = folder / BOM_FILENAME
    try:
        content = path.read_bytes() if path.stat().st_size <= MAX_BOM_BYTES else b""
        bom = json.loads(content)
        if (bom["bomFormat"], bom["specVersion"]) != ("CycloneDX", _SPEC_VERSION):
            raise ValueError("another format")
        listed = {
            component["name"]: component["hashes"][0]["content"]
            for component in bom["components"]
            if component["type"] == "file" and component["hashes"][0]["alg"] == "SHA-256"
        }
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return {}, [f"{BOM_FILENAME} is no CycloneDX {_SPEC_VERSION} BOM of an export."]
    present = _list_files(folder)
    faults = [f"{BOM_FILENAME} lists {name}, which is missing." for name in sorted(listed.keys() - present.keys())]
    faults += [f"{BOM_FILENAME} does not list {name}." for name in sorted(present.keys() - listed.keys())]
    faults += [
        f"{name} is not the file that {BOM_FILENAME} lists."
        for name in sorted(listed.keys() & present.keys())
        if hash_file(present[name]) != listed[name]
    ]
    return bom, faults
