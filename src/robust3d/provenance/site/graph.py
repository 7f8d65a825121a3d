"""The lineage as a graph of few nodes: a step each, but one for all shards of a family and one for their meshes."""

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from robust3d.provenance.lineage import Lineage, Step
from robust3d.provenance.site.plain import Slugs, as_dict, as_list, count, duration, slug
from robust3d.study.stages import STAGES


@dataclass(eq=False)
class Node:
    """One box of the graph and one page of the site.

    Attributes:
        id: unique in the site; anchor and file name.
        steps: the jobs in it; several for the shards of a family.
        parents: ids of the nodes it was made from.
        users: ids of the nodes made from it.
        notes: what is wrong with its files, in sentences.
    """

    id: str
    stage: str
    label: str
    steps: list[Step]
    parents: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def what(self) -> str:
        """The stage, as people say it."""
        return STAGES[self.stage].of(self.steps[0].params.get(self.stage)).title if self.stage in STAGES else self.stage

    @property
    def role(self) -> str:
        """What its outputs are, where the site shows more of them than the record; empty for others."""
        return STAGES[self.stage].role if self.stage in STAGES else ""

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"runs/{self.id}.html"

    @property
    def first(self) -> dict[str, Any]:
        """The record of its first step."""
        return self.steps[0].record

    @property
    def grouped(self) -> bool:
        """Whether it stands for all jobs of its stage behind one family."""
        return _in_parts(self.stage)

    @property
    def summary(self) -> str:
        """How much it was."""
        taken = duration(_seconds(self.steps))
        if self.role == "views":
            frames = sum(
                len(as_list(step.params.get("instances"))) * int(as_dict(step.params.get("cameras")).get("views") or 0)
                for step in self.steps
            )
            known = f"{count(frames, 'frame')}, " if frames else ""  # of views from disk, their files know
            return f"{count(len(self.steps), 'shard')}, {known}{taken}"
        return f"{count(len(self.steps), 'class', 'classes')}, {taken}" if self.grouped else taken


class Graph:
    """All nodes behind the tables and figures of one results folder.

    Args:
        lineage: of the folder.
        targets: steps that nothing may be left out for.
    """

    def __init__(self, lineage: Lineage, targets: Iterable[Step]) -> None:
        steps = lineage.ancestors(*targets)
        parents = {step.name: [parent.name for parent in lineage.parents(step)] for step in steps}
        keys = _keys(steps, parents)
        self.nodes: dict[str, Node] = {}
        self._of: dict[str, str] = {}  # name of a step: id of its node
        groups: dict[str, list[Step]] = {}
        for step in steps:
            groups.setdefault(keys[step.name], []).append(step)
        slugs = Slugs()
        for members in groups.values():
            node = _node(members, slugs)
            self.nodes[node.id] = node
            self._of |= {step.name: node.id for step in members}
        for node in self.nodes.values():
            made_from = [self._of[parent] for step in node.steps for parent in parents[step.name]]
            node.parents = [name for name in dict.fromkeys(made_from) if name != node.id]
            for parent in node.parents:
                self.nodes[parent].users.append(node.id)
            node.notes += _missing_records(lineage, node)

    def node(self, step: Step | None) -> Node | None:
        """The node of a step, if it is in the graph."""
        return self.nodes.get(self._of.get(step.name, "")) if step is not None else None

    def behind(self, nodes: Iterable[Node]) -> list[Node]:
        """The nodes and all that they were made from, makers before users."""
        wanted: set[str] = set()
        open_nodes = list(nodes)
        while open_nodes:
            node = open_nodes.pop()
            if node.id not in wanted:
                wanted.add(node.id)
                open_nodes += [self.nodes[parent] for parent in node.parents]
        return [node for name, node in self.nodes.items() if name in wanted]


def _keys(steps: list[Step], parents: dict[str, list[str]]) -> dict[str, str]:
    """Steps with one key share a node: those of a grouped stage that the same nodes are made from."""
    users: dict[str, set[str]] = {step.name: set() for step in steps}
    keys: dict[str, str] = {}
    for step in reversed(steps):
        behind = "\n".join(sorted(users[step.name]))
        text = f"{step.stage}\n{behind}" if _in_parts(step.stage) and behind else step.name
        keys[step.name] = hashlib.sha256(text.encode()).hexdigest()
        for parent in parents[step.name]:
            users[parent].add(keys[step.name])
    return keys


def _node(members: list[Step], slugs: Slugs) -> Node:
    members = sorted(members, key=lambda step: step.name)
    stage = members[0].stage
    if not _in_parts(stage):
        return Node(slugs.new(f"{stage}-{members[0].job}"), stage, members[0].label, members)
    common = _common_words([step.label for step in members])
    label = common or members[0].label
    if STAGES[stage].role == "views" and len(members) == 1:
        label = label.rpartition("-")[0] or label  # without the number of the block
    digest = hashlib.sha256("\n".join(step.job for step in members).encode()).hexdigest()[:8]
    return Node(slugs.new(f"{stage}-{label}-{digest}"), stage, label, members)


def _in_parts(stage: str) -> bool:
    """Whether all jobs of a stage behind one family are shown as one."""
    return stage in STAGES and STAGES[stage].in_parts


def _common_words(labels: list[str]) -> str:
    """The words, between hyphens, that all labels begin with."""
    words = zip(*(label.split("-") for label in labels))
    return "-".join(same[0] for same in itertools.takewhile(lambda at: len(set(at)) == 1, words))


def _missing_records(lineage: Lineage, node: Node) -> list[str]:
    names = [file.path for step in node.steps for files in step.inputs.values() for file in files]
    lost = [name for name in dict.fromkeys(names) if lineage.owner(name) is None]
    return [f"There is no readable record of how {name} was made, so the lineage ends here." for name in lost]


class StageNode(Node):
    """All jobs of a stage as one box of the workflow's graph."""

    @property
    def what(self) -> str:
        """The stage's name in words."""
        return self.stage.replace("_", " ").capitalize()

    @property
    def summary(self) -> str:
        """How much it was."""
        return f"{count(len(self.steps), 'job')}, {duration(_seconds(self.steps))}"


def stages(nodes: list[Node]) -> list[Node]:
    """The workflow itself: a box for each stage, with what went into it from the stages before.

    A stage may take part twice, as where a pre-training starts from an encoder; the way back is left out.
    """
    found: dict[str, StageNode] = {}
    of = {node.id: node.stage for node in nodes}
    for node in nodes:  # makers before users
        stage = found.setdefault(node.stage, StageNode(f"stage-{slug(node.stage)}", node.stage, "", []))
        stage.steps += node.steps
        before = list(found)[: list(found).index(node.stage)]
        made_from = {found[of[parent]].id for parent in node.parents if of.get(parent) in before}
        stage.parents = sorted({*stage.parents, *made_from})
        stage.label = stage.summary
    return list(found.values())


def _seconds(steps: list[Step]) -> float:
    return sum(float(step.record.get("seconds") or 0) for step in steps)


def layers(nodes: list[Node]) -> list[list[Node]]:
    """The nodes by stage, shapes first; a stage unknown here comes after all that it was made from."""
    rank: dict[str, int] = {}
    for node in nodes:  # makers come before users
        after = max((rank[parent] for parent in node.parents if parent in rank), default=-1) + 1
        rank[node.id] = max(after, STAGES[node.stage].layer if node.stage in STAGES else 0)
    return [[node for node in nodes if rank[node.id] == level] for level in sorted(set(rank.values()))]


@dataclass(frozen=True)
class Branch:
    """A node in the lineage as nested text; what was shown before is only named `again`."""

    node: Node
    again: bool
    children: list["Branch"]


def tree(nodes: list[Node]) -> list[Branch]:
    """The lineage among some nodes as nested text, users before their makers."""
    known, seen = {node.id: node for node in nodes}, set[str]()

    def branch(node: Node) -> Branch:
        again = node.id in seen
        seen.add(node.id)
        parents = [] if again else [known[name] for name in node.parents if name in known]
        return Branch(node, again, [branch(parent) for parent in parents])

    return [branch(node) for node in nodes if not any(user in known for user in node.users)]
