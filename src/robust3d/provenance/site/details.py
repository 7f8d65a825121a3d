"""What a node's records say, in the readers' order: when, where, parameters, inputs, code."""

import shlex
from dataclasses import dataclass, field

from robust3d.provenance.lineage import File, Step
from robust3d.provenance.site.curves import Chart, charts
from robust3d.provenance.site.files import Files
from robust3d.provenance.site.graph import Graph, Node
from robust3d.provenance.site.pictures import Gallery, Picture
from robust3d.provenance.site.plain import as_dict, as_list, duration, flatten, number, show

Pairs = list[tuple[str, str]]


@dataclass
class Detail:
    """All that the site says of a node.

    Attributes:
        facts: when, where and how long.
        seeds: those among the parameters.
        params: parameters that all its steps share.
        differing: keys of the parameters in which its steps differ.
        inputs: (name, file, node that made it); of a group, none.
        outputs: (name, file); of a group, none.
        code: (file, sha256).
        curves: of a training run.
        reconstructions: of a pre-training.
        galleries: of the views it is, makes or lists.
    """

    node: Node
    facts: Pairs = field(default_factory=list)
    seeds: Pairs = field(default_factory=list)
    params: Pairs = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    inputs: list[tuple[str, File, Node | None]] = field(default_factory=list)
    outputs: list[tuple[str, File]] = field(default_factory=list)
    code: Pairs = field(default_factory=list)
    code_digest: str = ""
    packages: Pairs = field(default_factory=list)
    command: str = ""
    curves: list[Chart] = field(default_factory=list)
    reconstructions: Picture | None = None
    galleries: list[Gallery] = field(default_factory=list)


def describe(node: Node, graph: Graph, files: Files) -> Detail:
    """Everything but the pictures, which are added when they have been made."""
    record = node.first
    params = [dict(flatten(step.params)) for step in node.steps]
    common = [(key, value) for key, value in params[0].items() if all(other.get(key) == value for other in params)]
    keys = dict.fromkeys(key for other in params for key in other)
    spec, environment = as_dict(record.get("spec")), as_dict(record.get("environment"))
    versions = as_dict(environment.get("packages"))
    detail = Detail(
        node,
        facts=_facts(node),
        seeds=[pair for pair in common if pair[0].rpartition(".")[2].endswith("seed")],
        params=[pair for pair in common if not pair[0].rpartition(".")[2].endswith("seed")],
        differing=[key for key in keys if key not in dict(common)],
        code=[
            (show(as_dict(code).get("file", name)), show(as_dict(code).get("sha256")))
            for name, code in sorted(as_dict(record.get("code")).items())
        ],
        code_digest=show(spec.get("code")),
        packages=[("python", show(environment.get("python"))), *sorted((str(k), show(v)) for k, v in versions.items())],
        command=shlex.join(map(show, as_list(record.get("command")))),
    )
    if len(node.steps) == 1:
        made_by = {
            file.path: graph.node(owner)
            for parent in node.parents
            for owner in graph.nodes[parent].steps
            for file in owner.outputs.values()
        }
        step = node.steps[0]
        detail.inputs = [(name, f, made_by.get(f.path)) for name, found in step.inputs.items() for f in found]
        detail.outputs = list(step.outputs.items())
    if node.role in ("pre-training", "classifier"):
        detail.curves = _curves(node, files)
    return detail


def _facts(node: Node) -> Pairs:
    host = as_dict(node.first.get("host"))
    hosts = dict.fromkeys(show(as_dict(step.record.get("host")).get("name")) for step in node.steps)
    total = {key: sum(number(step.record.get(key)) or 0 for step in node.steps) for key in ("seconds", "cpu_seconds")}
    memory = max((number(step.record.get("peak_memory_mb")) or 0 for step in node.steps), default=0)
    facts = [
        ("job", node.steps[0].job if len(node.steps) == 1 else f"{len(node.steps)} jobs"),
        ("started", min(show(step.record.get("started")) for step in node.steps)),
        ("time", f"{duration(total['seconds'])}, processors busy for {duration(total['cpu_seconds'])}"),
        ("peak memory", f"{memory:,.0f} MB"),
        ("host", f"{', '.join(hosts)} ({show(host.get('system'))}), threads: {show(host.get('threads'))}"),
        ("GPU", show(host.get("gpu"))),
    ]
    facts += [(f"SLURM {key}", value) for key, value in flatten(as_dict(node.first.get("slurm")))]
    facts += [(f"note: {key}", value) for key, value in flatten(as_dict(node.first.get("notes")))]
    return facts + [pair for step in node.steps for pair in _history(step)]


def _history(step: Step) -> Pairs:
    """What makes a step's files other than simply computed by its own code, here."""
    found = []
    reused, accepted = as_dict(step.record.get("reused")), as_dict(step.record.get("accepted"))
    if reused:
        words = f"copied from {show(reused.get('from'))}, first made by {show(reused.get('first_made_by'))}"
        found.append((f"{step.job}: reused", words))
    if accepted:
        who = " ".join(show(accepted[key]) for key in ("by", "on") if accepted.get(key))
        words = f"counts as earlier code: {show(accepted.get('reason'))}" + (f" ({who})" if who else "")
        found.append((f"{step.job}: accepted code change", words))
    return found


def _curves(node: Node, files: Files) -> list[Chart]:
    metrics = node.steps[0].outputs.get("metrics")
    if metrics is None:
        node.notes.append(f"{node.steps[0].name} names no metrics.")
        return []
    wrong = files.wrong(metrics.path, metrics.sha256)
    node.notes += [wrong] if wrong else []
    found = charts(files.json(metrics.path))
    if not found:
        node.notes.append(f"{metrics.path} holds no rows of a training run, so there is no curve.")
    return found
