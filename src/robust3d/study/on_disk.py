"""What identifies data on the user's disk in the specs of the jobs that read them; looked at once while planning.

A data set is identified by names, sizes and times of the files that the study asks for, a file of weights by its
sha256: training rests on it directly, and must not be repeated because a file was copied.
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

_HANDED_ON = "ROBUST3D_DATA_ON_DISK"  # from the process that plans to those that it starts on a cluster's nodes


class OnDisk:
    """Looks at each data set once; None stands for what is not there, which its job will tell about.

    Args:
        found: what is known already, by `key`; then nothing else is looked at.
    """

    def __init__(self, found: dict[str, str | None] | None = None) -> None:
        self.found = dict(found or {})
        self._looks = found is None

    @classmethod
    def handed_on(cls) -> "OnDisk":
        """What the process that planned this one's job has found: data that change meanwhile change no job's name."""
        text = os.environ.get(_HANDED_ON)
        return cls(json.loads(text) if text else None)

    def hand_on(self) -> None:
        """Let processes that this one starts, on other nodes too, find what it has found."""
        os.environ[_HANDED_ON] = json.dumps(self.found)

    def family(self, kind: str, params: Any) -> str | None:
        """Identity of the files of a published family."""
        from robust3d.data.published.identity import take

        look = registry.load("family", kind)
        return self._look(f"{kind} {params.model_dump_json()}", lambda: take(look, params).identity)

    def image_set(self, params: Any) -> dict[str, str | None]:
        """Identity of the pictures of a set, as a parameter; {} if none of them lie on disk."""
        module = registry.load("set", params.kind)
        if not hasattr(module, "identity"):
            return {}
        key = f"set {params.kind} {params.model_dump_json()}"
        return {"data_on_disk": self._look(key, lambda: module.identity(params))}

    def textures(self, params: TextureParams, seed: int) -> str | None:
        """Identity of the pictures that are read of the real DTD."""
        from robust3d.data.dtd import files_identity

        return self._look(f"dtd {seed} {params.model_dump_json()}", lambda: files_identity(params, seed))

    def weights(self, told: Path | None, architecture: ArchitectureParams) -> str | None:
        """The sha256 of a file of weights, or of those that a package has for the architecture."""
        key = f"weights {told or architecture.name}"
        return self._look(key, lambda: sha256(weights_file(told, architecture)))

    def _look(self, key: str, look: Callable[[], str]) -> str | None:
        if key not in self.found and self._looks:
            try:
                self.found[key] = look()
            except (UserError, OSError):
                self.found[key] = None
        return self.found.get(key)
