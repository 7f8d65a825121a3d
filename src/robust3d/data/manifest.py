"""The manifest of a family's views: the small, deterministic file that later steps depend on instead of the shards."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from robust3d.data.blank import BlankViews
from robust3d.data.faults import Faults, fault_notices
from robust3d.data.shards import Frames, read_shards
from robust3d.errors import UserError, why_unreadable

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Shard:
    """One file of frames: a block of instances of one class or several."""

    path: str  # relative to the project's root
    instances: dict[str, tuple[str, ...]]  # ids by class
    sha256: str
    bytes: int

    def any_of(self, instances: set[str]) -> bool:
        """Whether it has one of these instances, of any class."""
        return not all(map(instances.isdisjoint, self.instances.values()))


def held_by(entry: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Instance ids by class, from an entry of `write_shard` or `write_classes`."""
    held = entry.get("classes") or {entry["class"]: entry["instances"]}
    return {name: tuple(instances) for name, instances in held.items()}


@dataclass(frozen=True)
class Views:
    """All views of a family.

    Attributes:
        classes: names in label order.
        views: number per instance.
        extent: side of the origin-centred cube that holds every object, world units.
        splits: instance ids of "train", "val" and "test", or of "all"; each class has those that are in its shards.
        blank: the blank views, objects as "class/id"; None: none.
        faults: of the meshes that are shown, objects as "class/id"; None: none.
    """

    family: str
    classes: tuple[str, ...]
    views: int
    resolution_px: int
    extent: float
    splits: dict[str, tuple[str, ...]]
    shards: tuple[Shard, ...]
    blank: BlankViews | None = None
    faults: Faults | None = None

    def write(self, path: Path) -> None:
        """Write as JSON, the same bytes for the same content."""
        content = asdict(self)
        for name in ("blank", "faults"):
            if content[name] is None:
                del content[name]
        path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Views":
        """Read what `write` wrote.

        Raises:
            UserError: missing, or not a manifest of views.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            shards = tuple(
                Shard(
                    _is(entry["path"], str),
                    {
                        _is(name, str): tuple(_is(instance, str) for instance in ids)
                        for name, ids in entry["instances"].items()
                    },
                    _is(entry["sha256"], str),
                    _is(entry["bytes"], int),
                )
                for entry in content["shards"]
            )
            return cls(
                family=_is(content["family"], str),
                classes=tuple(_is(name, str) for name in content["classes"]),
                views=_is(content["views"], int),
                resolution_px=_is(content["resolution_px"], int),
                extent=float(content["extent"]),
                splits={name: tuple(_is(key, str) for key in ids) for name, ids in content["splits"].items()},
                shards=shards,
                blank=BlankViews(**content["blank"]) if "blank" in content else None,
                faults={_is(key, str): _is(reasons, list) for key, reasons in content["faults"].items()}
                if "faults" in content
                else None,
            )
        except FileNotFoundError:
            raise UserError(f"{path}: no such manifest of views; ask snakemake for it") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            damaged = f"not a manifest of views ({error!r:.120}); delete it to make it again"
            raise why_unreadable(path, error, damaged) from None

    def objects(self, split: str) -> dict[str, tuple[str, ...]]:
        """The instance ids of every class in one split, sorted; built families have the same for all classes."""
        ids = set(self.splits[split])
        held: dict[str, set[str]] = {name: set() for name in self.classes}
        for shard in self.shards:
            for name, instances in shard.instances.items():
                held[name] |= ids.intersection(instances)
        return {name: tuple(sorted(instances)) for name, instances in held.items()}

    def notices(self) -> list[str]:
        """Flags for every number that depends on these views."""
        blank = self.blank.notices(self.family) if self.blank else []
        return blank + fault_notices(self.family, self.faults or {})

    def frames(self, splits: Sequence[str]) -> Frames:
        """All frames of some splits.

        Raises:
            UserError: a shard is missing or has changed.
        """
        wanted = {instance for split in splits for instance in self.splits[split]}
        return self.load([shard for shard in self.shards if shard.any_of(wanted)], wanted)

    def load(self, shards: Sequence[Shard], instances: set[str]) -> Frames:
        """The frames of some instances in some shards.

        Raises:
            UserError: a shard is missing or has changed.
        """
        self.check(shards)
        return read_shards([Path(shard.path) for shard in shards], instances)

    def check(self, shards: Sequence[Shard]) -> None:
        """Refuse shards that do not match the manifest.

        Raises:
            UserError: a shard is missing or has other bytes.
        """
        for shard in shards:
            path = Path(shard.path)
            if not path.is_file():
                raise UserError(f"{path}: this shard of family {self.family!r} is missing; ask snakemake for it again")
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise UserError(f"{path}: cannot be read: {error.strerror}") from None
            if digest != shard.sha256:
                raise UserError(f"{path}: not the file of the manifest any more; delete it, it will be rendered again")


def _is(value: Any, kind: type[Kind]) -> Kind:
    """The value, if it is of this kind."""
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.40} where a {kind.__name__} belongs")
    return value
