"""Where the boxes and lines of a lineage graph go: a row for each layer, lines that skip a row led around the boxes."""

import itertools
from dataclasses import dataclass

from robust3d.provenance.site.graph import Node, layers

BOX_WIDTH, BOX_HEIGHT = 158, 58
_GAP_X, _GAP_Y, _MARGIN = 14, 30, 4
_BEND_WIDTH = 6  # of the place that a passing line takes in a row
_LETTERS = 23  # that fit a line of a box
_SWEEPS = 6


@dataclass(frozen=True)
class Box:
    """A node at its place; `lines` is its label, broken to fit."""

    node: Node
    x: float
    y: float
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A curve from a maker to a user; `path` is SVG's."""

    source: str
    target: str
    path: str


@dataclass(frozen=True)
class Drawing:
    """A graph to draw, boxes in reading order."""

    width: float
    height: float
    boxes: list[Box]
    lines: list[Line]

    @property
    def nodes(self) -> list[Node]:
        """What is drawn."""
        return [box.node for box in self.boxes]


@dataclass
class _Place:
    """A box's place in a row, or that of a line which passes through it."""

    key: str
    width: float
    above: list["_Place"]
    below: list["_Place"]
    x: float = 0.0


def draw(nodes: list[Node]) -> Drawing:
    """Lay out some nodes and the lines between them.

    Rows are ordered by the mean place of what a box is joined to, a few sweeps down and up, which keeps crossings few.
    """
    rows, chains = _rows(nodes)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            _spread(row)
            row.sort(key=lambda place: _mean(place.above if down else place.below, place.x))
            _spread(row)
    left = min(row[0].x - row[0].width / 2 for row in rows)
    width = max(row[-1].x + row[-1].width / 2 for row in rows) - left
    for row in rows:
        for place in row:
            place.x += _MARGIN - left
    top = {place.key: _MARGIN + level * (BOX_HEIGHT + _GAP_Y) for level, row in enumerate(rows) for place in row}
    found = {node.id: node for node in nodes}
    boxes = [
        Box(found[place.key], place.x - BOX_WIDTH / 2, top[place.key], _broken(found[place.key].label))
        for row in rows
        for place in row
        if place.key in found
    ]
    lines = [
        Line(source, target, _path([(place.x, top[place.key]) for place in chain]))
        for (source, target), chain in chains.items()
    ]
    height = _MARGIN * 2 + len(rows) * BOX_HEIGHT + (len(rows) - 1) * _GAP_Y
    return Drawing(round(width + 2 * _MARGIN, 1), height, boxes, lines)


def _rows(nodes: list[Node]) -> tuple[list[list[_Place]], dict[tuple[str, str], list[_Place]]]:
    """The rows with a place for every box and every passing line, and each line's places from top to bottom."""
    rows = [[_Place(node.id, BOX_WIDTH, [], []) for node in layer] for layer in layers(nodes)]
    level = {place.key: depth for depth, row in enumerate(rows) for place in row}
    boxes = {place.key: place for row in rows for place in row}
    chains: dict[tuple[str, str], list[_Place]] = {}
    bends: dict[tuple[str, int], _Place] = {}  # lines from one maker run together until they must part
    for node in nodes:
        for parent in node.parents:
            if parent not in level:
                continue
            chain = [boxes[parent]]
            for depth in range(level[parent] + 1, level[node.id]):
                if (parent, depth) not in bends:
                    bends[parent, depth] = _Place(f"{parent}/{depth}", _BEND_WIDTH, [], [])
                    rows[depth].append(bends[parent, depth])
                chain.append(bends[parent, depth])
            chain.append(boxes[node.id])
            for upper, lower in itertools.pairwise(chain):
                upper.below.append(lower)
                lower.above.append(upper)
            chains[parent, node.id] = chain
    return rows, chains


def _mean(places: list[_Place], alone: float) -> float:
    return sum(place.x for place in places) / len(places) if places else alone


def _spread(row: list[_Place]) -> None:
    """Side by side, around 0 so that rows of different width lie below each other."""
    at = 0.0
    for place in row:
        place.x = at + place.width / 2
        at += place.width + _GAP_X
    for place in row:
        place.x -= (at - _GAP_X) / 2


def _path(points: list[tuple[float, float]]) -> str:
    """From the bottom of the first box, straight through the bends, to the top of the last."""
    x, y = points[0][0], points[0][1] + BOX_HEIGHT
    parts = [f"M{x:.1f} {y:.1f}"]
    for i, (next_x, top) in enumerate(points[1:], 1):
        middle = (y + top) / 2
        parts.append(f"C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {top:.1f}")
        x, y = next_x, top + BOX_HEIGHT
        if i < len(points) - 1:
            parts.append(f"V{y:.1f}")
    return "".join(parts)


def _broken(label: str) -> tuple[str, ...]:
    """At most two lines, broken at a hyphen where there is one."""
    if len(label) <= _LETTERS:
        return (label,)
    cut = label.rfind("-", 0, _LETTERS) + 1 or _LETTERS
    rest = label[cut:]
    return label[:cut], rest if len(rest) <= _LETTERS else rest[: _LETTERS - 1] + "…"
