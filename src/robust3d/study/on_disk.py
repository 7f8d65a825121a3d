"""Identity of data on the user's disk, for the specs of the jobs that read them; determined once while planning.

A data set is identified by names, sizes and times of the files that the study asks for, a file of weights by its
sha256: trainings depend on it directly, and must not be repeated because a file was copied.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robust3d import registry
from robust3d.architectures import ArchitectureParams, weights_file
from robust3d.data.params import TextureParams
from robust3d.errors import UserError
from robust3d.files import sha256

_VARIABLE = "ROBUST3D_DATA_ON_DISK"  # set by the planning process for its jobs on a cluster's nodes


class OnDisk:
    """Determines the identity of each data set once; None if it is missing, which its job will report.

    Args:
        found: known identities by key; nothing else is read then.
    """

    def __init__(self, found: dict[str, str | None] | None = None) -> None:
        self.found = dict(found or {})
        self._looks = found is None

    @classmethod
    def from_environment(cls) -> "OnDisk":
        """The identities found when this job was planned: data that change meanwhile change no job's name."""
        text = os.environ.get(_VARIABLE)
        return cls(json.loads(text) if text else None)

    def to_environment(self) -> None:
        """Pass the identities to processes that this one starts, also on other nodes."""
        os.environ[_VARIABLE] = json.dumps(self.found)

    def family(self, kind: str, params: Any) -> str | None:
        """Identity of the files of a published family."""
        from robust3d.data.published.identity import take

        look = registry.load("family", kind)
        return self._look(f"{kind} {params.model_dump_json()}", lambda: take(look, params).identity)

    def image_set(self, params: Any) -> dict[str, str | None]:
        """Identity of the pictures of a set, as a parameter; {} if it has none on disk."""
        module = registry.load("set", params.kind)
        if not hasattr(module, "identity"):
            return {}
        key = f"set {params.kind} {params.model_dump_json()}"
        return {"data_on_disk": self._look(key, lambda: module.identity(params))}

    def textures(self, params: TextureParams, seed: int) -> str | None:
        """Identity of the pictures that are read from DTD."""
        from robust3d.data.dtd import files_identity

        return self._look(f"dtd {seed} {params.model_dump_json()}", lambda: files_identity(params, seed))

    def weights(self, named: Path | None, architecture: ArchitectureParams) -> str | None:
        """The sha256 of a file of weights, or of those that a package has for the architecture."""
        key = f"weights {named or architecture.name}"
        return self._look(key, lambda: sha256(weights_file(named, architecture)))

    def file(self, path: str) -> str | None:
        """The sha256 of a small file that a table reads."""
        return self._look(f"file {path}", lambda: sha256(Path(path)))

    def _look(self, key: str, look: Callable[[], str]) -> str | None:
        if key not in self.found and self._looks:
            try:
                self.found[key] = look()
            except (UserError, OSError):
                self.found[key] = None
        return self.found.get(key)
