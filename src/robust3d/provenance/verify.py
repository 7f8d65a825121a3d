"""Rehashes all files behind the results, published data included, and compares them with records, code and study.

States: OK; CHANGED (other bytes than recorded); MISSING; UNREADABLE (the file exists, but cannot be read, for instance
without permission); UNRECORDED (no record names its origin); STALE (intact, but code, parameters or packages have
changed since, so a run would make it again). Comments and docstrings may change, and code changes may be accepted: both
are reported, and neither is an error.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from robust3d.errors import UserError
from robust3d.files import cause, seal, sha256
from robust3d.provenance.changes import code_changes, package_changes, parameter_changes
from robust3d.provenance.lineage import RESULTS, File, Lineage, Step
from robust3d.provenance.sources import State, check_sources
from robust3d.registry import paper_of
from robust3d.study.accepted import acceptances_of, accepted_digest
from robust3d.study.closure import closure_digest, describe
from robust3d.study.config import Study
from robust3d.study.places import own_file
from robust3d.study.plan import Plan
from robust3d.study.stages import LOCK, STAGES, lock, locked_versions
from robust3d.study.targets import every_target, target_path

ALLOWED = {Path(".progress"), Path(".known"), Path("site")}  # folders under results/ that hold nothing to be trusted

_LINES, _WIDTH = 35, 220  # of findings on one screen; a line may take two of a terminal's
_ONE_CAUSE = ("OK", "STALE")  # states of which a change of code or packages gives many files
_NAMED = 20  # of others, such as damaged ones


@dataclass(frozen=True)
class Finding:
    """What was found about one file."""

    state: State
    path: str
    detail: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether not all is well."""
        return self.state != "OK"


def verify(targets: Sequence[str], study: Study) -> list[Finding]:
    """Check the closure of some results; of everything, files without a record included, if none is named.

    Args:
        targets: tables, figures or other files under ``results/``.
        study: what stable names are compared with.

    Raises:
        UserError: no results.
    """
    lineage = Lineage()
    checker = _Checker(lineage)
    named = list(targets) or _stable()
    found = [(name, _step(lineage, name)) for name in named]
    checker.findings += [Finding("UNRECORDED", name, "no readable record") for name, step in found if step is None]
    asked = [step for _, step in found if step is not None]
    for step in lineage.ancestors(*asked):
        checker.check(step)
        if step.record.get("seal") == seal(step.record):  # else nothing in it can be relied on, its keys neither
            checker.check_current(step)
    checker.check_study(
        [step for step in asked if step.name.startswith(f"{RESULTS}/") and step.name.count("/") == 1], study
    )
    checker.check_lock()
    if not targets:
        for step in lineage.records():
            checker.check(step)
        checker.findings += _unrecorded(lineage)
    return checker.findings + [_unreadable(name, why) for name, why in lineage.unreadable.items()]


def _unreadable(name: str, why: str) -> Finding:
    return Finding("UNREADABLE", name, f"cannot be read ({why})")


def _step(lineage: Lineage, name: str) -> Step | None:
    path = Path(name)
    try:
        return lineage.target(name)
    except UserError:
        if not lineage.locate(name).exists() and not path.exists():
            raise UserError(f"{name}: no such result; make it first, or run from the project's root") from None
        return None


def _stable() -> list[str]:
    """The tables and figures that there are."""
    paths = [target_path(name) for name in every_target()]
    return [path for path in paths if Path(path).exists()]


class _Checker:
    """Checks each step and each source file once."""

    def __init__(self, lineage: Lineage) -> None:
        self.lineage = lineage
        self.findings: list[Finding] = []
        self._checked: set[str] = set()
        self._reported: set[str] = set()
        self._locks: set[str] = set()

    def check(self, step: Step) -> None:
        """The bytes of a step: its record, its outputs, and that it read what their makers wrote."""
        if step.name in self._checked:
            return
        self._checked.add(step.name)
        if step.record.get("seal") != seal(step.record):
            self.findings.append(Finding("CHANGED", step.name, "the record was changed after it was written"))
        for file in step.outputs.values():
            self._check_file(file)
        self.findings += [Finding(*problem) for problem in check_sources(step, self.lineage)]
        for files in step.inputs.values():
            for file in files:
                owner = self.lineage.owner(file.path)
                made = {output.path: output for output in owner.outputs.values()} if owner else {}
                if file.path not in made:
                    self._check_file(file)
                    if owner is None:
                        self.findings.append(Finding("UNRECORDED", file.path, f"read by {step.name}"))
                elif made[file.path].sha256 != file.sha256:
                    text = f"made again with other bytes since {step.name} read it"
                    self.findings.append(Finding("STALE", file.path, text))

    def _check_file(self, file: File) -> None:
        path = self.lineage.locate(file.path)
        try:
            same = sha256(path) == file.sha256
        except FileNotFoundError:
            self.findings.append(Finding("MISSING", file.path))
            return
        except OSError as error:
            self.findings.append(_unreadable(file.path, cause(error)))
            return
        self.findings.append(
            Finding("OK", file.path) if same else Finding("CHANGED", file.path, "other bytes than recorded")
        )

    def check_current(self, step: Step) -> None:
        """The code and the packages that a run would use now against those of a step."""
        spec, roots = step.record["spec"], tuple(step.record["spec"]["modules"])
        try:
            now = describe(roots)
            current = accepted_digest(roots, closure_digest(roots)) == spec["code"]
        except (OSError, SyntaxError, ValueError) as error:
            self.findings.append(Finding("STALE", step.name, f"code: {error}"))
            return
        for module, then in step.record["code"].items():
            if module in now and now[module]["sha256"] != then["sha256"] and now[module]["meaning"] == then["meaning"]:
                self._tell(
                    Finding("OK", now[module]["file"], "only comments, docstrings or formatting differ from what ran")
                )
        if not current:
            changes = code_changes(step.record["code"], now)
            text = "; ".join(change.text for change in changes) or "other modules than those that ran"
            self.findings.append(Finding("STALE", step.name, f"code: {text}"))
        for entry in acceptances_of(spec):
            self._tell(
                Finding("OK", step.name, f"accepted code change: {entry['reason']} ({entry['by']}, {entry['on']})")
            )
        versions = spec["packages"]
        if step.stage in STAGES:
            versions = locked_versions(tuple({*STAGES[step.stage].packages, *(spec["packages"].keys() & lock())}))
        packages = package_changes(spec["packages"], versions)
        if packages:
            text = "; ".join(change.text for change in packages)
            self.findings.append(Finding("STALE", step.name, f"packages: {text}"))
        self._locks.add(step.record["environment"]["lock"])

    def check_lock(self) -> None:
        """Whether the lock is the one that everything was made with."""
        if self._locks and self._locks != {sha256(own_file(LOCK))}:
            text = "another lock than at least one step was made with; versions that affect results were compared"
            self._tell(Finding("OK", LOCK, text))

    def check_study(self, steps: Iterable[Step], study: Study) -> None:
        """Whether stable names hold the study that is requested now."""
        plan = Plan(study)
        for step in steps:
            name = step.params.get("target")
            if name not in every_target() or paper_of(name) not in study.papers:
                continue
            job = plan.target(name)
            changes = parameter_changes(step.params, _params(job.spec))
            made_from = {name: [file.path for file in files] for name, files in step.inputs.items()}
            wanted = {name: paths for name, paths in job.input_paths().items() if paths}
            if changes or made_from != wanted:
                text = (
                    "; ".join(change.text for change in changes)
                    or "it depends on artifacts of other parameters or code"
                )
                whose = step.params.get("study", study.study)
                if whose != study.study:
                    text = (
                        f"it is of study {whose!r}, but the requested study is {study.study!r} (--scale, --configfile)"
                    )
                self.findings.append(Finding("STALE", step.name, f"parameters of the requested study: {text}"))

    def _tell(self, finding: Finding) -> None:
        key = f"{finding.path} {finding.detail}"
        if key not in self._reported:
            self._reported.add(key)
            self.findings.append(finding)


def _params(spec: str) -> dict[str, object]:
    return dict(json.loads(spec)["params"])


def _unrecorded(lineage: Lineage) -> list[Finding]:
    """Files under the results folder that no record names."""
    recorded = {lineage.locate(file.path) for step in lineage.records() for file in step.outputs.values()}
    recorded |= {lineage.locate(step.name) for step in lineage.records()}
    findings = []

    def tell_closed(error: OSError) -> None:
        findings.append(_unreadable(str(RESULTS / Path(error.filename).relative_to(lineage.results)), cause(error)))

    for folder, folders, names in os.walk(lineage.results, onerror=tell_closed):
        folders[:] = sorted(name for name in folders if Path(folder, name).relative_to(lineage.results) not in ALLOWED)
        for path in (Path(folder, name) for name in sorted(names)):
            inside = path.relative_to(lineage.results)
            if path.is_file() and path not in recorded:
                findings.append(Finding("UNRECORDED", str(RESULTS / inside), "no record names it"))
    return findings


def tell(findings: Sequence[Finding], full: bool = False) -> str:
    """What is not plainly OK, the bad first, then a count of each state.

    Args:
        findings: of `verify`.
        full: a line for each; else one screen, on which what has one cause is one line.
    """
    groups: dict[tuple[State, str], dict[str, None]] = {}
    for finding in sorted(findings, key=lambda finding: not finding.is_bad):
        if finding.is_bad or finding.detail:
            groups.setdefault((finding.state, finding.detail), {})[finding.path] = None
    lines = []
    for (state, detail), paths in groups.items():
        shown = list(paths) if full else list(paths)[: 1 if state in _ONE_CAUSE else _NAMED]
        more = len(paths) - len(shown)
        last = f" and {more} more" if more else ""
        told = f": {detail}" if detail else ""
        lines += [f"{state:<10} {path}{last if path == shown[-1] else ''}{told}" for path in shown]
    if not full:
        lines = [line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…" for line in lines]
        hidden = len(lines) - _LINES
        lines = [*lines[: _LINES - 1], f"… {hidden + 1} more lines with --full"] if hidden > 0 else lines
    counts = Counter(finding.state for finding in findings)
    summary = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "nothing has been made yet"
    return "\n".join([*lines, summary])
