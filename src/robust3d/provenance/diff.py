"""The first difference between two results, makers before users, and its kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from robust3d.errors import UserError
from robust3d.provenance.changes import Change, Kind, spec_changes
from robust3d.provenance.lineage import File, Lineage, Step
from robust3d.provenance.why import sources

# What may give other bytes, the likeliest first: rounding goes with the GPU and the processor, not with a host's name.
_CIRCUMSTANCES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("hardware only", ("gpu",)),
    ("processor", ("processor", "instruction_set")),
    ("hardware only", ("system", "name", "threads")),
)


@dataclass(frozen=True)
class Difference:
    """One step whose own circumstances differ.

    Attributes:
        kind: parameter, seed, code, package, input, processor, hardware only, nondeterminism, or missing.
        step: which step, by stage and readable name.
        text: what differs.
        same_bytes: the outputs are equal nevertheless.
    """

    kind: Kind
    step: str
    text: str
    same_bytes: bool


def diff(a: Path, b: Path, cell: Sequence[str] | None = None) -> list[Difference]:
    """Compare two results folders, or a file of each; the first entry is the furthest upstream.

    Args:
        a: a results folder, or a file in one that has a record.
        b: the other.
        cell: table (``table4``, ``winn3d/table3``), row and column: only the sources of this cell, of two folders.

    Raises:
        UserError: a folder without records, a file and a folder, or an unknown cell.
    """
    if a.is_file() != b.is_file():
        raise UserError(f"{a}, {b}: a file and a folder; name two results folders, or a file of each")
    if a.is_file() and cell is not None:
        raise UserError(f"--cell: belongs to two results folders, and {a} is a file")
    theirs = [_starts(path, cell) for path in (a, b)]
    (lineage_a, steps_a), (lineage_b, steps_b) = theirs
    walk = _Walk(lineage_a, lineage_b)
    if a.is_file() or cell is not None:
        walk.align(list(steps_a.values()), list(steps_b.values()), "the requested result")
    else:
        for name in sorted({*steps_a, *steps_b}):
            walk.align([steps_a[name]] if name in steps_a else [], [steps_b[name]] if name in steps_b else [], name)
    return walk.found


def _starts(path: Path, cell: Sequence[str] | None) -> tuple[Lineage, dict[str, Step]]:
    """The lineage and the steps to start from."""
    if path.is_file():
        whole = path.resolve()
        folder = next((p for p in whole.parents if any(p.glob("*/*/record.json"))), whole.parent)
        lineage = Lineage(folder)
        step = lineage.target(str(whole))
        return lineage, {step.label: step}
    lineage = Lineage(path)
    if cell is not None:
        table = path / f"{cell[0].removesuffix('.csv')}.csv"
        found = sources(lineage, table, lineage.cell(str(table), cell[1], cell[2]))
        return lineage, {step.name: step for step in found}
    steps = {step.label: step for step in lineage.records() if step.name.endswith(".record.json")}
    if not steps:
        steps = {f"{step.stage}/{step.label}": step for step in lineage.records()}
    if not steps:
        raise UserError(f"{path}: no records in this folder; name a results folder")
    return lineage, steps


class _Walk:
    """Compares pairs of steps, each pair once."""

    def __init__(self, a: Lineage, b: Lineage) -> None:
        self.a, self.b = a, b
        self.found: list[Difference] = []
        self._seen: set[tuple[str, str]] = set()

    def align(self, ours: list[Step], theirs: list[Step], where: str) -> None:
        """Compare two lists of steps: by stage and label, what is left over by its order."""
        rest = list(theirs)
        left = []
        for step in ours:
            match = next((o for o in rest if (o.stage, o.label) == (step.stage, step.label)), None)
            if match is None:
                left.append(step)
            else:
                rest.remove(match)
                self.compare(step, match)
        while left and rest:
            self.compare(left.pop(0), rest.pop(0))
        for step in left + rest:
            side = "second" if step in left else "first"
            self._add("missing", step, f"{where}: nothing goes with it in the {side} results", False)

    def compare(self, ours: Step, theirs: Step) -> None:
        """First the inputs of the two, then their parameters and outputs."""
        if (ours.name, theirs.name) in self._seen:
            return
        self._seen.add((ours.name, theirs.name))
        before = len(self.found)
        same = _hashes(ours.outputs.values()) == _hashes(theirs.outputs.values())
        for name in sorted({*ours.inputs, *theirs.inputs}):
            self._compare_inputs(ours, theirs, name)
        old, new = ours.record, theirs.record
        changes = spec_changes(old["spec"], new["spec"], old["code"], new["code"])
        for change in changes:
            self._add(change.kind, ours, change.text, same)
        read = [_hashes(file for files in step.inputs.values() for file in files) for step in (ours, theirs)]
        if not changes and not same and read[0] == read[1] and len(self.found) == before:
            change = _circumstances(ours, theirs)
            self._add(change.kind, ours, change.text, same)

    def _compare_inputs(self, ours: Step, theirs: Step, name: str) -> None:
        steps, strangers = [], []
        for lineage, step in ((self.a, ours), (self.b, theirs)):
            owners = [(file, lineage.owner(file.path)) for file in step.inputs.get(name, ())]
            steps.append([owner for _, owner in owners if owner is not None])
            strangers.append([file for file, owner in owners if owner is None])
        for mine, other in zip(*strangers, strict=False):
            if mine.sha256 != other.sha256:
                self._add("input", ours, f"{name}: {mine.path} {mine.sha256[:12]} → {other.sha256[:12]}", False)
        self.align(steps[0], steps[1], f"{name} of {ours.stage} {ours.label}")

    def _add(self, kind: Kind, step: Step, text: str, same: bool) -> None:
        self.found.append(Difference(kind, f"{step.stage} {step.label}", text, same))


def _hashes(files: Iterable[File]) -> list[str]:
    return [file.sha256 for file in files]


def _circumstances(ours: Step, theirs: Step) -> Change:
    """Why the same work on the same bytes gave other bytes."""
    old, new = ours.record, theirs.record
    if old["environment"] != new["environment"]:
        locks = f"lock {old['environment']['lock'][:12]} → {new['environment']['lock'][:12]}"
        python = f"Python {old['environment']['python']} → {new['environment']['python']}"
        return Change("package", f"{locks}, {python}")
    for kind, keys in _CIRCUMSTANCES:
        hosts = [(name, old["host"].get(name), new["host"].get(name)) for name in keys]
        changed = [f"{name}: {was} → {becomes}" for name, was, becomes in hosts if was != becomes]
        if changed:
            return Change(kind, "; ".join(changed))
    return Change("nondeterminism", "everything recorded is equal, but the outputs differ")


def tell(differences: Sequence[Difference]) -> str:
    """One line a difference, the first one furthest upstream; alike ones together."""
    if not differences:
        return "no difference: the same parameters, code, packages, inputs and bytes"
    lines: dict[tuple[str, str, bool], list[str]] = {}
    for found in differences:
        lines.setdefault((found.kind, found.text, found.same_bytes), []).append(found.step)
    texts = []
    for (kind, text, same), steps in lines.items():
        where = steps[0] if len(steps) == 1 else f"{steps[0]} and {len(steps) - 1} more"
        texts.append(f"{kind:<15} {where}: {text}{' (same bytes)' if same else ''}")
    return "\n".join(texts)
