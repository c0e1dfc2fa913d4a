"""The OpenSSF model signature of a version: it covers every file of the folder, and is made with a key of one's own."""

from __future__ import annotations

from pathlib import Path

FILE = "model.sig"


class SignatureError(ValueError):
    """A version that is not signed as it must be, or a key that is none; the message names both and the mend."""


def sign(folder: Path, key: Path) -> None:
    """Signs the files of a folder with the PEM file of a private elliptic-curve key, and writes FILE beside them."""
    from model_signing import hashing, signing

    try:
        maker = signing.Config().use_elliptic_key_signer(private_key=key)
    except (OSError, ValueError) as error:
        raise SignatureError(f"{key}: not the PEM file of a private elliptic-curve key ({error})") from None
    maker.set_hashing_config(hashing.Config().set_ignored_paths(paths=[folder / FILE]))
    maker.sign(folder, folder / FILE)


def verify(folder: Path, key: Path, uri: str) -> None:
    """Checks the signature of a folder with the PEM file of a public key; `uri` is where the folder came from.

    Raises SignatureError.
    """
    from model_signing import verifying

    if not (folder / FILE).is_file():
        raise SignatureError(f"{uri}{FILE}: not signed; publish the version with a signing key (docs/models.md)")
    try:
        checker = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except (OSError, ValueError) as error:
        raise SignatureError(f"{key}: not the PEM file of a public elliptic-curve key ({error})") from None
    try:
        checker.verify(folder, folder / FILE)
    except ValueError as error:
        raise SignatureError(f"{uri}{FILE}: {error}; not signed with the private key of {key}, or changed") from None
