"""Tables and their cells as the pages show them, read from ``tableN.cells.json`` with patience for damage."""

import itertools
import textwrap
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from robust3d.errors import UserError
from robust3d.provenance.lineage import RESULTS, Lineage, Step
from robust3d.provenance.site.files import Files, at_pointer
from robust3d.provenance.site.pictures import Picture
from robust3d.provenance.site.plain import Slugs, as_dict, as_list, flatten, natural, number, show, slug, title
from robust3d.tables import words

_LONGEST, _READ = 400, 2_000  # letters of what a pointer points at, which may be a whole object
_SHOWN = {  # by a place of their own on the page
    "row", "column", "text", "value", "unit", "formula", "n", "interval", "printed", "flags", "conditions", "sources",
}  # fmt: skip


@dataclass
class Source:
    """A file that a value was read from.

    Attributes:
        now: what its JSON pointer points at today.
        wrong: a sentence if the file is gone or another.
    """

    file: str
    pointer: str
    sha256: str
    step: Step | None
    now: str | None
    wrong: str | None


@dataclass
class Cell:
    """One cell; the properties give its parts as text, None where it has none."""

    row: str
    column: str
    page: str
    data: dict[str, Any]
    sources: list[Source] = field(default_factory=list)
    before: "Cell | None" = None
    after: "Cell | None" = None

    @property
    def text(self) -> str:
        """As in the CSV."""
        return show(self.data.get("text", "")) or "(empty)"

    @property
    def stated(self) -> str:
        """With its unit, where the text is a number and no words such as `too few seeds`."""
        return self.text + (self.unit if self.measured and self.text[-1:].isdigit() else "")

    @property
    def unit(self) -> str:
        """Behind the number."""
        return f" {self.data['unit']}" if isinstance(self.data.get("unit"), str) else ""

    @property
    def measured(self) -> bool:
        """Whether it is a number with sources, not a word derived from definitions."""
        return number(self.data.get("value")) is not None

    @property
    def value(self) -> str:
        """In full precision."""
        return show(self.data.get("value"))

    @property
    def formula(self) -> str:
        """How the value follows from its sources."""
        return show(self.data.get("formula"))

    @property
    def flags(self) -> list[str]:
        """Sentences that travel with the number."""
        return [show(flag) for flag in as_list(self.data.get("flags"))]

    @property
    def interval(self) -> str | None:
        """`57.2 to 79.1`, in the value's unit."""
        bounds = words.interval(as_dict(self.data.get("interval")), self.data.get("unit"))
        return bounds.replace("-", "−") if bounds else None

    @property
    def interval_kind(self) -> str:
        """What kind of interval it is."""
        return show(as_dict(self.data.get("interval")).get("kind"))

    @property
    def unsourced(self) -> str:
        """Why it names no file."""
        if self.measured:
            return "No measured file: the number stands in the code, which the step below names."
        if self.flags and not self.text.strip("–"):
            return "No measured file: there is no number. The flags say why."
        return "No measured file: it follows from definitions in the code, which the step below names."

    @cached_property
    def differences(self) -> list[words.Difference]:
        """What it has over other cells."""
        return words.differences(self.data)

    @cached_property
    def printed(self) -> dict[str, Any] | None:
        """The paper's number: value, row, whether ours may be compared with it."""
        found = as_dict(self.data.get("printed"))
        if not found:
            return None
        comparable = found.get("comparable") is True
        return {"value": show(found.get("value")), "row": show(found.get("row")), "comparable": comparable}

    @cached_property
    def conditions(self) -> list[tuple[str, list[str]]]:
        """(condition, its value for each model), one value where all agree."""
        models = [dict(flatten(model)) for model in as_list(self.data.get("conditions"))]
        keys = dict.fromkeys(key for model in models for key in model)
        found = [(key, [model.get(key, "not stated") for model in models]) for key in keys]
        return [(key, values[:1] if len(set(values)) == 1 else values) for key, values in found]

    @property
    def beside(self) -> list[tuple[str, str]]:
        """What the same models do in easier circumstances."""
        known = {"clean_accuracy": "Unattacked", "unshifted_accuracy": "Unshifted"}
        found = [(label, number(self.data.get(key))) for key, label in known.items()]
        return [(label, f"{100 * value:.1f} %") for label, value in found if value is not None]

    @property
    def models(self) -> int:
        """How many trained models it is the mean of."""
        return len(as_list(self.data.get("conditions")))

    @cached_property
    def more(self) -> list[tuple[str, str]]:
        """Other fields of the cell."""
        shown = {*_SHOWN, *(key for key in self.data if key.startswith("difference"))}
        return flatten({key: value for key, value in self.data.items() if key not in shown})


@dataclass
class Table:
    """One table, or the numbers that a figure shows.

    Attributes:
        picture: of a figure.
        step: the job that made it, if its record is readable.
        grid: for each row label, the cells in the order of `columns`; None where a cell has no value.
        notes: what is wrong with its files.
    """

    name: str
    step: Step | None
    caption: str = ""
    study: str = "unknown"
    index: str = ""
    columns: list[str] = field(default_factory=list)
    grid: list[tuple[str, list[Cell | None]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    picture: Picture | None = None

    @property
    def plotted(self) -> bool:
        """Whether it is what a figure shows: its job has drawn a picture too."""
        return self.step is not None and "picture" in self.step.outputs

    @property
    def words(self) -> str:
        """What it shows."""
        return self.caption or "No caption."

    @property
    def title(self) -> str:
        """`Table 4`."""
        return title(self.name)

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"{self.name_slug}.html"

    @property
    def name_slug(self) -> str:
        """Its name as a file name and an anchor."""
        return slug(self.name)

    @property
    def measured(self) -> bool:
        """Whether its cells are numbers with sources, not words."""
        return any(cell.measured and cell.sources for cell in self.cells)

    @property
    def cells(self) -> list[Cell]:
        """Row by row."""
        return [cell for _, cells in self.grid for cell in cells if cell is not None]

    @cached_property
    def marks(self) -> dict[str, str]:
        """A letter for each flag that does not hold for all cells."""
        found = dict.fromkeys(flag for cell in self.cells for flag in cell.flags if flag not in self.common_flags)
        return {flag: _letter(i) for i, flag in enumerate(found)}

    @cached_property
    def common_flags(self) -> list[str]:
        """Flags of every cell."""
        cells = self.cells
        return [flag for flag in cells[0].flags if all(flag in cell.flags for cell in cells)] if cells else []


def _letter(i: int) -> str:
    return chr(ord("a") + i) if i < 26 else f"{chr(ord('a') + i // 26 - 1)}{chr(ord('a') + i % 26)}"


def read_tables(lineage: Lineage, files: Files) -> list[Table]:
    """Every table of a results folder, those without a readable part too."""
    paths = [path.relative_to(lineage.results) for end in ("csv", "cells.json") for path in lineage.stable(f"*.{end}")]
    names = {str(path.with_name(path.name.partition(".")[0])) for path in paths if not path.name.startswith(".")}
    return [_read(lineage, files, name) for name in sorted(names, key=natural)]


def _read(lineage: Lineage, files: Files, name: str) -> Table:
    table = Table(name, lineage.owner(str(RESULTS / f"{name}.csv")))
    if table.step is None:
        table.notes.append(f"There is no readable record of how {name} was made.")
    else:
        found = [files.wrong(file.path, file.sha256) for file in table.step.outputs.values()]
        table.notes += [sentence for sentence in found if sentence]
        table.study = show(table.step.params.get("study", "unknown"))
    try:
        content = lineage.cells(str(lineage.results / f"{name}.csv"))
    except (UserError, OSError, TypeError) as error:
        table.notes.append(f"The cells cannot be shown: {error}")
        return table
    table.caption, table.index = show(content.get("caption", "")), show(content.get("index") or "")
    table.study = show(content.get("study", table.study))
    cells = _cells(lineage, files, table, as_list(content.get("cells")))
    if not cells:
        table.notes.append("Its cells file names no cells.")
    rows = dict.fromkeys([*map(show, as_list(content.get("rows"))), *(row for row, _ in cells)])
    table.columns = list(dict.fromkeys([*map(show, as_list(content.get("columns"))), *(column for _, column in cells)]))
    table.grid = [(row, [cells.get((row, column)) for column in table.columns]) for row in rows]
    for one, next_one in itertools.pairwise(table.cells):
        one.after, next_one.before = next_one, one
    return table


def _cells(lineage: Lineage, files: Files, table: Table, entries: list[Any]) -> dict[tuple[str, str], Cell]:
    slugs, cells = Slugs(), {}
    for data in map(as_dict, entries):
        if "row" not in data or "column" not in data:
            table.notes.append("A cell without row or column is left out.")
            continue
        row, column = show(data["row"]), show(data["column"])
        page = f"{slug(table.name)}/{slugs.new(row, column)}.html"
        sources = [_source(lineage, files, as_dict(source)) for source in as_list(data.get("sources"))]
        cells[row, column] = Cell(row, column, page, data, sources)
    return cells


def _source(lineage: Lineage, files: Files, entry: dict[str, Any]) -> Source:
    file, pointer, digest = (show(entry.get(key, "")) for key in ("file", "pointer", "sha256"))
    now = at_pointer(files.json(file), pointer) if pointer.startswith("/") else None
    shown = None if now is None else textwrap.shorten(show(now)[:_READ], _LONGEST, placeholder=" …")
    return Source(file, pointer, digest, lineage.owner(file), shown, files.wrong(file, digest))
