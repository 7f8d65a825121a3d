"""Pictures of the site: frames out of shards, and the PNG and SVG files that jobs made."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robust3d.errors import UserError
from robust3d.provenance.lineage import Step
from robust3d.provenance.site.files import Files
from robust3d.provenance.site.graph import Graph, Node
from robust3d.provenance.site.plain import Slugs, as_dict, as_list, show, slug

SPLITS = ("test", "train", "val", "all")  # test first: numbers are counted there
OBJECTS, VIEWS = 2, 3  # a class, of those that there are


@dataclass
class Picture:
    """An image file of the site.

    Attributes:
        file: its place, from the site's root.
        alt: what is seen, in words.
        side_px: of a square frame; 0 for a sheet of any shape.
    """

    file: str
    alt: str
    note: str = ""
    side_px: int = 0


@dataclass
class ClassFrames:
    """Some frames of one class, and what could not be shown."""

    name: str
    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Gallery:
    """The views of one family.

    Attributes:
        node: the family's manifest of views.
        views: the node of its shards.
    """

    node: Node
    views: Node | None
    classes: list[ClassFrames] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"galleries/{self.node.id}.html"

    @property
    def label(self) -> str:
        """The family."""
        return self.node.label

    @property
    def sample(self) -> list[Picture]:
        """One frame a class, a few classes."""
        return [found.pictures[0] for found in self.classes if found.pictures][:6]


class Frames:
    """Writes frames of shards as PNG files, each once.

    Args:
        site: folder of the site.
        files: to find the shards.
        shards: the jobs that rendered them, all; so that processes side by side agree on their folders' names.
    """

    def __init__(self, site: Path, files: Files, shards: Iterable[Step]) -> None:
        self._site, self._files = site, files
        self._written: dict[tuple[str, str, int], Picture] = {}
        folders = Slugs()
        self._folder = {shard.name: folders.new(shard.job) for shard in shards}

    def of(self, shard: Step, wanted: dict[str, list[int]]) -> list[tuple[str, int, Picture]]:
        """Frames as pictures.

        Args:
            shard: the job that rendered them.
            wanted: for some of its instances, which views; those that it does not hold are left out.

        Returns:
            (instance, view, picture) in the order of `wanted`.

        Raises:
            UserError: the shard is gone, damaged, or not the recorded one.
        """
        keys = [(shard.name, instance, view) for instance, views in wanted.items() for view in views]
        if not all(key in self._written for key in keys):
            self._write(shard, set(wanted), set(keys))
        return [(key[1], key[2], self._written[key]) for key in keys if key in self._written]

    def _write(self, shard: Step, instances: set[str], keys: set[tuple[str, str, int]]) -> None:
        from PIL import Image

        from robust3d.data.shards import read_shards

        recorded = shard.outputs.get("views")
        if recorded is None:
            raise UserError(f"{shard.name} names no shard.")
        wrong = self._files.wrong(recorded.path, recorded.sha256)
        path = self._files.place(recorded.path)
        if wrong or path is None:
            raise UserError(wrong or f"{recorded.path} is not there any more.")
        try:
            frames = read_shards([path], instances)
        except ValueError as error:  # UserError is one
            raise UserError(f"{recorded.path} cannot be read: {error}") from None
        folder = f"frames/{self._folder[shard.name]}"
        (self._site / folder).mkdir(parents=True, exist_ok=True)
        for i, (instance, view) in enumerate(zip(frames.instance.tolist(), frames.view.tolist(), strict=True)):
            key = (shard.name, instance, view)
            if key not in keys or key in self._written:
                continue
            file = f"{folder}/{slug(instance)}-{view:03d}.png"
            Image.fromarray(frames.rgba[i]).save(self._site / file, "PNG")
            alt = f"Render of {frames.class_name[i]}, object {instance}, view {view}"
            self._written[key] = Picture(file, alt, side_px=int(frames.rgba.shape[1]))


def read_galleries(graph: Graph, files: Files, frames: Frames) -> list[Gallery]:
    """One gallery for each family of views."""
    return [_gallery(graph, node, files, frames) for node in graph.nodes.values() if node.role == "manifest"]


def _gallery(graph: Graph, node: Node, files: Files, frames: Frames) -> Gallery:
    views = next((graph.nodes[name] for name in node.parents if graph.nodes[name].role == "views"), None)
    gallery = Gallery(node, views)
    manifest = node.steps[0].outputs.get("manifest")
    wrong = files.wrong(manifest.path, manifest.sha256) if manifest else f"{node.steps[0].name} names no manifest."
    gallery.notes += [wrong] if wrong else []
    splits = as_dict(as_dict(files.json(manifest.path) if manifest else None).get("splits"))
    shards: dict[str, list[Step]] = {
        show(name): [] for name in as_list(node.steps[0].params.get("classes")) if isinstance(name, str)
    }
    for step in views.steps if views else []:
        shards.setdefault(show(step.params.get("class_name")), []).append(step)
    for name, steps in shards.items():
        gallery.classes.append(_class(name, steps, splits, frames))
    return gallery


def _class(name: str, shards: list[Step], splits: dict[str, Any], frames: Frames) -> ClassFrames:
    """A few objects of a class, from each split while there are splits, each from a few sides."""
    found = ClassFrames(name)
    if not shards:
        found.notes.append(f"There is no record of a shard of {name}.")
    home = {show(i): step for step in shards for i in as_list(step.params.get("instances"))}
    for split, instance in _chosen(home, splits):
        step = home[instance]
        total = as_dict(step.params.get("cameras")).get("views")
        total = total if isinstance(total, int) and 0 < total < 100_000 else 1
        shown = sorted({total * i // VIEWS for i in range(VIEWS)})
        try:
            for _, view, picture in frames.of(step, {instance: shown}):
                words = f"{instance} · view {view}" + (f" · {split}" if split not in ("", "all") else "")
                found.pictures.append(Picture(picture.file, picture.alt, words, picture.side_px))
        except UserError as error:
            found.notes.append(f"{name}, object {instance}: {error}")
    return found


def _chosen(home: dict[str, Step], splits: dict[str, Any]) -> list[tuple[str, str]]:
    """(split, instance) of the objects to show."""
    known = {split: [show(i) for i in as_list(splits.get(split)) if show(i) in home] for split in SPLITS}
    firsts = [(split, ids[0]) for split, ids in known.items() if ids]
    return (firsts or [("", instance) for instance in sorted(home)])[:OBJECTS]


def copied(node: Node, output: str, alt: str, site: Path, files: Files) -> Picture | None:
    """A PNG or SVG file that a job made, copied into the site; what is wrong with it is noted at the node."""
    recorded = node.steps[0].outputs.get(output)
    if recorded is None:
        return None
    wrong = files.wrong(recorded.path, recorded.sha256)
    path = files.place(recorded.path)
    if wrong or path is None:
        node.notes.append(wrong or f"{recorded.path} is not there any more.")
        return None
    try:
        suffix = _kind(path)
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow and the XML parser raise at broken files
        node.notes.append(f"{recorded.path} is damaged: {type(error).__name__}.")
        return None
    target = f"pictures/{node.id}-{slug(output)}{suffix}"
    (site / "pictures").mkdir(exist_ok=True)
    (site / target).write_bytes(path.read_bytes())
    return Picture(target, alt)


def _kind(path: Path) -> str:
    """`.png` or `.svg`, by what is in the file."""
    from xml.etree import ElementTree

    from PIL import Image, UnidentifiedImageError

    if path.suffix == ".svg":  # shown as an image, so nothing that stands in it runs
        if ElementTree.parse(path).getroot().tag != "{http://www.w3.org/2000/svg}svg":
            raise ValueError("not an SVG")
        return ".svg"
    with Image.open(path) as image:
        image.verify()
        if image.format != "PNG":
            raise UnidentifiedImageError("not a PNG")
    return ".png"
