"""The software bill of materials of an image, in CycloneDX's form: its base, the library, the packages of its locks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from k8s.images.locks import Pin, path_of, read_lock


def write(path: Path, name: str, version: str, digest: str, base: str, locks: Sequence[str]) -> None:
    """Writes the bill of an image; `digest` is empty for one that was not pushed. Raises LockError.

    The packages of the operating system are those of the base, which is named by its digest.
    """
    bom = Bom()
    bom.metadata.component = _image(name, version, digest)
    base_name, _, base_digest = base.partition("@")
    bom.components.add(_image(base_name.rpartition("/")[2], "", base_digest))
    if locks:
        bom.components.add(_package("stmae", Pin(version, frozenset())))
    for lock in locks:
        for package, pin in read_lock(path_of(lock)).items():
            bom.components.add(_package(package, pin))
    bom.register_dependency(bom.metadata.component, bom.components)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(JsonV1Dot6(bom).output_as_string(indent=2), encoding="utf-8")


def _image(name: str, version: str, digest: str) -> Component:
    return Component(
        name=name,
        version=version or digest,
        type=ComponentType.CONTAINER,
        bom_ref=f"image:{name}",
        purl=PackageURL("oci", name=name, version=digest or None),
    )


def _package(name: str, pin: Pin) -> Component:
    """Returns a package; the hashes are those of all files that an index has of the version."""
    purl = PackageURL("pypi", name=name, version=pin.version)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=each.partition(":")[2]) for each in sorted(pin.hashes)]
    files = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=hashes)
    return Component(
        name=name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        external_references=[files] if hashes else [],
    )
