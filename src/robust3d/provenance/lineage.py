"""The finished jobs behind a file, as their records tell it: what made it, from what, back to the first shapes.

Records name files from the project's root (``results/…``). A `Lineage` reads one results folder, which may be a
copy under another name; it trusts no record further than its text, `verify` compares it with the files.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from robust3d.errors import UserError
from robust3d.files import cause
from robust3d.provenance.store import RESULTS
from robust3d.study.stages import STAGES
from robust3d.study.targets import papers


@dataclass(frozen=True)
class File:
    """A file as a record names it."""

    path: str  # from the project's root, `results/…`
    sha256: str
    bytes: int


@dataclass(frozen=True, eq=False)
class Step:
    """One finished job.

    Attributes:
        name: path of its record from the project's root; the identity of the step within one results folder.
        record: what the record says.
    """

    name: str
    record: dict[str, Any]

    @property
    def stage(self) -> str:
        """The rule."""
        return str(self.record["spec"]["stage"])

    @property
    def job(self) -> str:
        """Readable name and digest."""
        return str(self.record["job"])

    @property
    def label(self) -> str:
        """Readable name without the digest."""
        stem, _, digest = self.job.rpartition("-")
        return stem if stem and len(digest) == 12 else self.job

    @property
    def params(self) -> dict[str, Any]:
        """All parameters of the job."""
        return dict(self.record["spec"]["params"])

    @cached_property
    def inputs(self) -> dict[str, tuple[File, ...]]:
        """Named inputs."""
        return {name: tuple(File(**file) for file in files) for name, files in self.record["inputs"].items()}

    @cached_property
    def outputs(self) -> dict[str, File]:
        """Named outputs, the record not among them."""
        return {name: File(**file) for name, file in self.record["outputs"].items()}


def results_of(table: Path) -> Path:
    """The results folder of a table or figure: of ``results/shapebias/table1.csv`` the one above the paper's."""

    def holds_jobs(folder: Path) -> bool:
        return any((folder / stage).is_dir() for stage in STAGES)

    folder = table.parent
    return folder.parent if holds_jobs(folder.parent) and not holds_jobs(folder) else folder


class Lineage:
    """The records of one results folder.

    Args:
        results: the folder, `results` or a copy of it.
    """

    def __init__(self, results: Path = RESULTS) -> None:
        if not results.is_dir():
            raise UserError(f"{results}: no such results folder; make a table first, or run from the project's root")
        self.results = results
        self.unreadable: dict[str, str] = {}  # records that are there but cannot be read, and why
        self._steps: dict[str, Step | None] = {}
        self._records: dict[str, str] = {}  # of files that were asked for

    def locate(self, name: str) -> Path:
        """Where a file that a record calls ``results/…`` is."""
        relative = Path(name)
        inside = relative.parts[:1] == (RESULTS.name,) and ".." not in relative.parts
        return self.results.joinpath(*relative.parts[1:]) if inside else relative

    def step(self, record: str) -> Step | None:
        """The step of a record, or None where there is no readable one."""
        if record not in self._steps:
            self._steps[record] = self._read(record)
        return self._steps[record]

    def _read(self, record: str) -> Step | None:
        try:
            content = json.loads(self.locate(record).read_text(encoding="utf-8"))
            step = Step(record, content)
            _ = step.stage, step.job, step.inputs, step.outputs  # a foreign or damaged file fails here
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                self.unreadable[record] = cause(error)
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return step

    def owner(self, name: str) -> Step | None:
        """The step that made a file, found by its place: beside it, or of a stable name such as ``results/table4``.

        Jobs have folders two levels down; a target of a paper stands one level down.
        """
        if name not in self._records:
            path = Path(name)
            stable = RESULTS in (path.parent, path.parent.parent)
            record = f"{path.name.partition('.')[0]}.record.json" if stable else "record.json"
            self._records[name] = str(path.parent / record)
        return self.step(self._records[name])

    def parents(self, step: Step) -> list[Step]:
        """The steps whose outputs it read, each once, in the order of its inputs."""
        found: dict[str, Step] = {}
        for files in step.inputs.values():
            for file in files:
                owner = self.owner(file.path)
                if owner is not None:
                    found.setdefault(owner.name, owner)
        return list(found.values())

    def ancestors(self, *steps: Step) -> list[Step]:
        """The steps and all that they were made from, each once, makers before users."""
        ordered: dict[str, Step] = {}
        visiting: list[tuple[Step, bool]] = [(step, False) for step in reversed(steps)]
        while visiting:
            step, expanded = visiting.pop()
            if step.name in ordered:
                continue
            if expanded:
                ordered[step.name] = step
                continue
            visiting.append((step, True))
            visiting += [(parent, False) for parent in reversed(self.parents(step)) if parent.name not in ordered]
        return list(ordered.values())

    def records(self) -> Iterator[Step]:
        """Every step with a readable record, sorted by its name."""
        found = [*self.results.glob("*/*/record.json"), *self.published()]
        for path in sorted(found):
            step = self.step(str(RESULTS / path.relative_to(self.results)))
            if step is not None:
                yield step

    def published(self) -> list[Path]:
        """The records beside stable names, the main paper's first."""
        return self.stable("*.record.json")

    def stable(self, pattern: str) -> list[Path]:
        """Files where stable names are: in the folder itself and in those of papers."""
        folders = [self.results, *(self.results / paper for paper in papers())]
        return [path for folder in folders for path in sorted(folder.glob(pattern))]

    def recorded(self, name: str) -> str | None:
        """How a record calls a file that a user names, by its full path too; None: it is not of this folder."""
        for path, results in ((Path(name), self.results), (Path(name).resolve(), self.results.resolve())):
            if path.is_relative_to(results) and ".." not in path.parts:
                return str(RESULTS / path.relative_to(results))
        return None

    def target(self, name: str) -> Step:
        """The step of a table, figure or other file that a user names.

        Raises:
            UserError: it was not made by this workflow, or has no record.
        """
        recorded = self.recorded(name)
        step = self.owner(recorded) if recorded is not None else None
        if step is None:
            known = ", ".join(str(p) for p in self.stable("*.csv"))
            raise UserError(f"{name}: no record of how it was made; there are records of {known or 'no table yet'}")
        return step

    def cells(self, table: str) -> dict[str, Any]:
        """The cells file of a table (``results/table4.csv``).

        Raises:
            UserError: there is none.
        """
        path = Path(table).with_suffix(".cells.json")
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; {table} is not a table that has been made") from None
        except ValueError as error:
            raise UserError(f"{path}: damaged: {error}; delete it and make the table again") from None

    def cell(self, table: str, row: str, column: str) -> dict[str, Any]:
        """One cell, by its labels as printed.

        Raises:
            UserError: no such row or column; the message lists them.
        """
        cells = self.cells(table)["cells"]
        for label, wanted in (("row", row), ("column", column)):
            known = list(dict.fromkeys(cell[label] for cell in cells))
            if wanted not in known:
                raise UserError(f"{table} has no {label} {wanted!r}; there are: {', '.join(map(repr, known))}")
        for cell in cells:
            if (cell["row"], cell["column"]) == (row, column):
                return dict(cell)
        raise UserError(f"{table}: row {row!r} has no value in column {column!r}")
