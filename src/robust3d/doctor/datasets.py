"""Published data sets that a study reads from disk: where they should be, what to get, where, under which licence.

A new one is one more entry in `data_sets`.
"""

import dataclasses
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robust3d.architectures import Weights
from robust3d.data.published.inventory import SOURCES
from robust3d.data.published.pictures import source_of
from robust3d.errors import UserError
from robust3d.study.config import Study
from robust3d.study.entries import Objects


@dataclass(frozen=True)
class DataSet:
    """One data set that the study asks for.

    Attributes:
        name: as people call it.
        key: of the configuration, that gives `path`.
        path: the folder or file.
        what: what to get.
        where: a page that offers it.
        licence: under which it comes.
        inside: files or folders that must be there, relative to one of `roots`.
        roots: folders in `path` where `inside` may start.
        how: to get it, where that is not a page from which it is downloaded.
    """

    name: str
    key: str
    path: Path
    what: str
    where: str
    licence: str
    inside: Sequence[str] = ()
    roots: Sequence[str] = field(default=(".",))
    how: str = ""

    def complaint(self) -> str | None:
        """What is missing, None if nothing is."""
        if not self.path.exists():
            return f"{self.path} is not there"
        missing = [[part for part in self.inside if not (self.path / root / part).exists()] for root in self.roots]
        fewest = min(missing, key=len)
        return f"{self.path} has no {', '.join(fewest)}" if fewest else None

    def how_to_get(self) -> str:
        """What to do about it."""
        return self.how or f"get {self.what} from {self.where} ({self.licence}) and put it at {self.path}"


def _published(layout: str, key: str, path: str) -> DataSet:
    source = SOURCES[layout]
    return DataSet(layout, key, Path(path), source.name, source.origin, source.licence, how=source.how)


def _installed(published: Weights | None) -> Path:
    """Where a package's weights are, or would be if it were installed."""
    assert published is not None  # else the study is refused
    try:
        return published.installed()
    except UserError:
        return Path(sysconfig.get_path("purelib"), published.file)


def _pictures(name: str, key: str, path: str | Path, what: str, within: str | Path | None = None) -> DataSet:
    """A folder or file of pictures or recordings, published or the user's own.

    Args:
        name: as people call it.
        key: of the configuration.
        path: as it stands there.
        what: to get, if it is the user's own.
        within: the folder of the published data that it is part of; None: itself.
    """
    source = source_of(within or path)
    if source is None:
        return DataSet(name, key, Path(path), what, "where you have it", "its own licence")
    # A folder of published data is there if these are.
    place = Path(source.place) if Path(source.place) in Path(path).parents and within is None else Path(path)
    return DataSet(name, key, place, source.name, source.origin, source.licence, how=source.how)


def data_sets(study: Study) -> list[DataSet]:
    """Those that this study reads, each place once."""
    found: list[DataSet] = []
    objects: dict[str, Objects] = {f"families.{name}": family for name, family in study.families.items()}
    objects |= {f"voxels.{name}": voxels for name, voxels in study.voxels.items()}
    for key, one in objects.items():
        if one.source != "built":
            found.append(_published(one.kind, f"{key}.shapes.path", one.shape_params().path))
    used = study.used_pretrainings()
    # What only pre-trainings that nothing uses would read is not read.
    idle = {entry.set for key, entry in study.pretraining.items() if key not in used}
    idle -= {study.pretraining[key].set for key in used} | {one.set for one in study.experiments.values()}
    for name, image_set in study.sets.items():
        if name not in idle and (path := getattr(image_set, "path", None)) is not None:
            found.append(_pictures(name, f"sets.{name}.path", path, f"the pictures of set {name!r}"))
            extra = [(key, getattr(image_set, key, None)) for key in ("table", "class_list")]
            if (maps := getattr(getattr(image_set, "depth", None), "path", None)) is not None:
                found.append(_pictures(f"{name}, depth", f"sets.{name}.depth.path", maps, "its depth maps"))
            found += [
                _pictures(f"{name}, {key}", f"sets.{name}.{key}", file, f"its {key}", path)
                for key, file in extra
                if file
            ]
    for name, probe in study.probes.items():
        if (path := getattr(probe.probe_params(), "assembly", None)) is not None:
            found.append(_pictures(name, f"probes.{name}.params.assembly", path, "the recordings"))
    if study.textures.path is not None:
        found.append(
            dataclasses.replace(
                _published("dtd", "textures.path", study.textures.path),
                inside=[f"images/{name}" for name in study.textures.classes],
                roots=(".", "dtd"),
            )
        )
    for name in used:
        entry = study.pretraining[name]
        if not entry.trains and entry.gives_encoder:
            weights, named = entry.architecture.weights, entry.method_params().weights
            place = f"the Python package {weights.package}" if weights and weights.package else ""
            found.append(
                DataSet(
                    name="weights",
                    key=f"pretraining.{name}.params.weights",
                    path=named or _installed(weights),
                    what=weights.name if weights else f"weights of {entry.architecture.name}",
                    where=place or (weights.url if weights else "their publisher"),
                    licence=weights.licence if weights else "under the publisher's licence",
                )
            )
    return list({data.path: data for data in reversed(found)}.values())[::-1]
