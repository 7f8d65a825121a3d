"""The crate while it grows: which files are copied, which are named by their hash, and the entities about them."""

import base64
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from robust3d.errors import UserError
from robust3d.files import sha256
from robust3d.provenance.lineage import RESULTS, File, Lineage

BIG = 1_000_000  # bytes; larger files stay outside unless requested
BIOSCHEMAS = "https://bioschemas.org/profiles"
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"
_MEDIA = {
    ".cff": "application/yaml",
    ".csv": "text/csv",
    ".h5": "application/x-hdf5",
    ".json": "application/json",
    ".npz": "application/zip",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".py": "text/x-python",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}


def content_id(file: File) -> str:
    """A name for a file outside the crate: its hash as an `ni` URI (RFC 6920), the path only as a hint."""
    digest = base64.urlsafe_b64encode(bytes.fromhex(file.sha256)).rstrip(b"=").decode()
    return f"ni:///sha-256;{digest}?path={quoted(file.path)}"


def plain(text: object) -> str:
    """Text that UTF-8 can encode, for any content of a record."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def quoted(text: object) -> str:
    """Text as one segment of an identifier."""
    return quote(plain(text), safe="")


def one(values: Iterable[Any]) -> Any:
    """RO-Crate 1.1 wants a single value bare, not as a list of one."""
    found = list(values)
    return found[0] if len(found) == 1 else found


def leaves(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Parameters by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, dict) and value:
            found |= leaves(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _is_inside(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


class Crate:
    """The crate while it grows; rocrate's entities are untyped.

    Args:
        lineage: the records.
        with_data: whether big files are copied.
    """

    def __init__(self, lineage: Lineage, with_data: bool) -> None:
        from rocrate.rocrate import ROCrate

        self.ro = ROCrate(version="1.1")
        self.ro.metadata.extra_contexts.append(_TERMS)
        self.lineage = lineage
        self.with_data = with_data
        self.copied: dict[str, File] = {}  # by path in the crate
        self.outside: dict[str, File] = {}  # by id
        self.changed: set[str] = set()  # code and lock that are no longer as the jobs found them
        self._sources: dict[tuple[str, str], Any] = {}

    def write(self, folder: Path) -> None:
        """Write all files, then compare each with what its record says.

        Raises:
            UserError: one is missing or another.
        """
        for file in self.copied.values():
            if not self.lineage.locate(file.path).is_file():
                raise UserError(f"{file.path}: missing; make it again. `robust3d verify` lists what else is missing")
        self.ro.write(folder)
        for file in self.copied.values():
            if sha256(folder / file.path) != file.sha256:
                raise UserError(f"{file.path}: differs from its record; make it again. `robust3d verify` shows more")

    def summary(self) -> str:
        """What was written, for the user."""
        size = sum(file.bytes for file in self.copied.values()) / 1e6
        text = f"{len(self.copied)} files ({size:.1f} MB), {len(self.outside)} more by their hash only"
        if self.changed:
            names = sorted(self.changed)
            listed = ", ".join(names if len(names) <= 5 else [*names[:4], f"… ({len(names)} in all)"])
            text += f"; changed or gone since the jobs ran and therefore by hash only: {listed}"
        return text

    def entity(self, identifier: str, kind: str, **properties: Any) -> Any:
        """A contextual entity, made when it is first used."""
        from rocrate.model import ContextEntity

        known = self.ro.get(identifier)
        if known is not None:
            return known
        return self.ro.add(ContextEntity(self.ro, identifier, {"@type": kind, **properties}))

    def link(self, entity: Any, key: str, *others: Any) -> None:
        """Add references that are not there yet."""
        raw = entity.properties().get(key, [])
        known = {reference["@id"] for reference in (raw if isinstance(raw, list) else [raw])}
        for other in others:
            if other.id not in known:
                known.add(other.id)
                entity.append_to(key, other, compact=True)

    def file(self, file: File, copy: bool, **properties: Any) -> Any:
        """A file as it was: copied into the crate under its own path, or named by its hash."""
        facts = {
            "name": plain(file.path),
            "sha256": file.sha256,
            "contentSize": str(file.bytes),
            "encodingFormat": _MEDIA.get(Path(file.path).suffix, "text/plain" if copy else "application/octet-stream"),
        } | properties
        if not copy:
            identifier = content_id(file)
            if identifier not in self.outside:
                self.outside[identifier] = file
                self.ro.add_file(identifier, properties=facts)
            return self.ro.get(identifier)
        known = self.copied.setdefault(file.path, file)
        if known.sha256 != file.sha256:
            raise UserError(f"{file.path}: two records disagree on its contents; `robust3d verify` shows more")
        return self.ro.get(quote(file.path)) or self.ro.add_file(
            self.lineage.locate(file.path), file.path, properties=facts
        )

    def result(self, file: File) -> Any:
        """A file that a job read or wrote; published data may not be passed on and are never copied."""
        ours = _is_inside(file.path) and Path(file.path).parts[:1] == (RESULTS.name,)
        return self.file(file, ours and (self.with_data or file.bytes <= BIG))

    def source(self, name: str, digest: str) -> Any:
        """Code or the lock, as a job found it; copied where it is still the same."""
        if (name, digest) in self._sources:
            return self._sources[name, digest]
        path = Path(name)
        if _is_inside(name) and path.is_file() and sha256(path) == digest:
            entity = self.file(File(name, digest, path.stat().st_size), True)
        else:
            self.changed.add(name)
            entity = self.file(File(name, digest, 0), False, description="As a job read it; it has changed since.")
            entity.pop("contentSize", None)  # a record does not say
        self._sources[name, digest] = entity
        return entity

    def present(self, name: str, **properties: Any) -> Any:
        """A file of the project as it is now."""
        path = self.lineage.locate(name)
        return self.file(File(name, sha256(path), path.stat().st_size), True, **properties)

    def text(self, name: str, content: str, **properties: Any) -> Any:
        """A file that only the crate has."""
        return self.ro.add_file(io.StringIO(content), name, properties={"name": name, **properties})

    def formal(self, owner: str, role: str, name: str, kind: str = "File") -> Any:
        """A formal parameter: whose, whether input, output or parameter, and which."""
        found = self.entity(
            f"#formal/{quoted(owner)}/{role}/{quoted(name)}",
            "FormalParameter",
            name=plain(name),
            description=plain(f"{role} of {owner}"),
            additionalType=kind,
            conformsTo=self.profile(f"{BIOSCHEMAS}/FormalParameter/1.0-RELEASE", "FormalParameter"),
        )
        kinds = found["additionalType"]
        if kind not in (kinds if isinstance(kinds, list) else [kinds]):
            found.append_to("additionalType", kind)
        return found

    def profile(self, identifier: str, name: str) -> Any:
        """A specification that something conforms to."""
        return self.entity(identifier, "CreativeWork", name=name, version=identifier.rsplit("/", 1)[1])

    def value(self, place: str, name: str, value: Any, **properties: Any) -> Any:
        """A named value, always as text: a string as it is, anything else as JSON, so that none is read as JSON-LD."""
        text = plain(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
        identifier = f"#{place}/{quoted(name)}/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        return self.entity(identifier, "PropertyValue", name=plain(name), value=text, **properties)
