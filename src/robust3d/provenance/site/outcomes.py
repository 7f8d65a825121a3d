"""The test images behind a cell, each with its outcome, from the per-image table that the test job wrote."""

from dataclasses import dataclass, field

from robust3d.errors import UserError
from robust3d.provenance.lineage import Step
from robust3d.provenance.site.files import Files
from robust3d.provenance.site.graph import Graph, Node
from robust3d.provenance.site.pictures import Frames, Picture
from robust3d.provenance.site.plain import as_list, show
from robust3d.provenance.site.tables import Cell

SHOWN = 48  # of possibly thousands


@dataclass
class Outcomes:
    """Test images of one model under a cell's condition.

    Attributes:
        node: the job that tested.
        verb: what a good outcome is: `robust`, `correct`.
        images: (picture, label, whether good), the first ones.
        total: how many there are, `good` of them good.
    """

    node: Node
    verb: str
    images: list[tuple[Picture, str, bool]] = field(default_factory=list)
    total: int = 0
    good: int = 0
    notes: list[str] = field(default_factory=list)


def read_outcomes(cell: Cell, graph: Graph, files: Files, frames: Frames) -> list[Outcomes]:
    """For each per-image table among a cell's sources, its images.

    A source's pointer says which rows and which column count: ``robust where budget = 8/255``.
    """
    found = []
    for source in cell.sources:
        verb, _, rest = source.pointer.partition(" where ")
        key, _, value = rest.partition(" = ")
        node = graph.node(source.step)
        if node is None or not value or not source.file.endswith(".parquet"):
            continue
        outcomes = Outcomes(node, verb)
        found.append(outcomes)
        if source.wrong:
            outcomes.notes.append(source.wrong)
            continue
        try:
            _fill(outcomes, _rows(files, source.file, verb, key, value), graph, frames)
        except UserError as error:
            outcomes.notes.append(str(error))
    return found


def _rows(files: Files, name: str, verb: str, key: str, value: str) -> list[tuple[str, str, int, bool]]:
    """(class, instance, view, outcome) in the order of the images."""
    import pandas as pd

    path = files.place(name)
    if path is None:
        raise UserError(f"{name} is not there any more.")
    try:
        table = pd.read_parquet(path, columns=["image", "class_name", "instance", "view", key, verb])
        table = table[[str(item) == value for item in table[key]]].sort_values("image")
        columns = (table["class_name"].astype(str), table["instance"].astype(str), table["view"].astype(int))
        return list(zip(*(column.tolist() for column in columns), table[verb].astype(bool).tolist(), strict=True))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"The images cannot be read from {name}: {error}") from None


def _fill(outcomes: Outcomes, rows: list[tuple[str, str, int, bool]], graph: Graph, frames: Frames) -> None:
    outcomes.total, outcomes.good = len(rows), sum(good for *_, good in rows)
    rows = rows[:SHOWN]
    home = _shards(outcomes.node, graph)
    wanted: dict[str, tuple[Step, dict[str, list[int]]]] = {}
    for name, instance, view, _ in rows:
        step = home.get((name, instance))
        if step is not None:
            wanted.setdefault(step.name, (step, {}))[1].setdefault(instance, []).append(view)
    pictures: dict[tuple[str, str, int], Picture] = {}
    for step, places in wanted.values():
        try:
            for instance, view, picture in frames.of(step, places):
                pictures[show(step.params.get("class_name")), instance, view] = picture
        except UserError as error:
            outcomes.notes.append(str(error))
    for name, instance, view, good in rows:
        if (name, instance, view) in pictures:
            outcomes.images.append((pictures[name, instance, view], name, good))
    if len(outcomes.images) < len(rows):
        outcomes.notes.append(f"{len(rows) - len(outcomes.images)} of these images are not in any recorded shard.")


def _shards(node: Node, graph: Graph) -> dict[tuple[str, str], Step]:
    """Where the frames of (class, instance) are, among the shards of the manifests that the test job read."""
    indices = [graph.nodes[name] for name in node.parents if graph.nodes[name].role == "manifest"]
    steps = [
        step
        for index in indices
        for name in index.parents
        if graph.nodes[name].role == "views"
        for step in graph.nodes[name].steps
    ]
    return {
        (show(step.params.get("class_name")), show(instance)): step
        for step in steps
        for instance in as_list(step.params.get("instances"))
    }
