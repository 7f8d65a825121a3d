"""Reads a results folder and writes its site into a folder beside the final place, then puts it there."""

import json
import multiprocessing
import os
import posixpath
import shutil
import signal
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from robust3d.errors import UserError
from robust3d.provenance.lineage import RESULTS, Lineage, Step
from robust3d.provenance.site import curves, layout, plain
from robust3d.provenance.site.details import Detail, describe
from robust3d.provenance.site.files import Files
from robust3d.provenance.site.graph import Graph, Node, stages, tree
from robust3d.provenance.site.of_papers import Paper, read_papers
from robust3d.provenance.site.outcomes import read_outcomes
from robust3d.provenance.site.pictures import Frames, Gallery, Picture, copied, read_galleries
from robust3d.provenance.site.tables import Cell, Table, read_tables
from robust3d.study.stages import STAGES

Item = TypeVar("Item")
Write = Callable[..., None]
PACKAGE = "robust3d.provenance.site"
_WORKERS = 8  # processes at the most; more would wait for the disk
_BLOCK = 150  # pages of one folder that a process writes, so that they share their parts
_tasks: Sequence[Callable[[], None]] = ()


@dataclass
class Figure:
    """One figure: its node in the graph, and the picture if it is whole."""

    name: str
    node: Node
    picture: Picture | None

    @property
    def title(self) -> str:
        """`Figure 2`."""
        return plain.title(self.name)

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"{plain.slug(self.name)}.html"

    @property
    def words(self) -> str:
        """What it shows."""
        return _words(self.name)

    @property
    def notes(self) -> list[str]:
        """What is wrong with its files."""
        return self.node.notes


@dataclass
class Content:
    """All that pages are written from; `states` says of targets what keeps them from being those of the study."""

    tables: list[Table]
    figures: list[Figure]
    galleries: list[Gallery]
    graph: Graph
    details: dict[str, Detail]
    files: Files
    frames: Frames
    papers: list[Paper]
    states: Mapping[str, str]

    @property
    def headline(self) -> Table | None:
        """The table that the start page shows whole: the main paper's last."""
        return next((table for table in self.tables if table.name == "table4" and table.measured), None)

    @property
    def comparison(self) -> Table | None:
        """The one of all papers' initialisations, whose picture answers the question of the start page."""
        return next((table for table in self.tables if table.name == "comparison" and table.picture), None)

    @property
    def claims(self) -> list[tuple[Cell, Cell]]:
        """What the papers claim and the verdicts, for the start page."""
        table = next((table for table in self.tables if table.name == "claims"), None)
        if table is None or not {"Claim", "Verdict"} <= set(table.columns):
            return []
        rows = [dict(zip(table.columns, cells, strict=True)) for _, cells in table.grid]
        return [(claim, verdict) for row in rows if (claim := row["Claim"]) and (verdict := row["Verdict"])]

    @property
    def nodes(self) -> list[Node]:
        """All nodes, makers before users."""
        return list(self.graph.nodes.values())

    @property
    def pretrainings(self) -> list[Detail]:
        """Details of the pre-trainings."""
        return [detail for detail in self.details.values() if detail.node.role == "pre-training"]

    @property
    def runs(self) -> list[Detail]:
        """Details of everything that was trained."""
        return self.pretrainings + [d for d in self.details.values() if d.node.role == "classifier"]


def build(results: Path, states: Mapping[str, str]) -> Path:
    """Write the site; see `robust3d.provenance.site.build_site`."""
    lineage = Lineage(results)
    final = results / "site"
    temporary = results / f".partial-site-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        _write(_read(lineage, temporary, states), temporary)
        _swap(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final / "index.html"


def _swap(temporary: Path, final: Path) -> None:
    """Put the new site in the place of the old one, which comes back if that fails."""
    old = final.with_name(f".old-site-{os.getpid()}")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        os.replace(final, old)
    try:
        os.replace(temporary, final)
    except OSError:
        if old.exists():
            os.replace(old, final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _read(lineage: Lineage, site: Path, states: Mapping[str, str]) -> Content:
    files = Files(lineage)
    tables = read_tables(lineage, files)
    drawn = [step for step in _top(lineage) if step.stage in STAGES and STAGES[step.stage].role == "picture"]
    if not tables and not drawn:
        raise UserError(
            f"{lineage.results}: no table or figure yet; make one first, say `snakemake results/table1.csv`"
        )
    targets = [table.step for table in tables if table.step is not None] + drawn
    sources = [source.step for table in tables for cell in table.cells for source in cell.sources if source.step]
    graph = Graph(lineage, [*targets, *sources])
    views = (node for node in graph.nodes.values() if node.role == "views")
    frames = Frames(site, files, (step for node in views for step in node.steps))
    details = {node.id: describe(node, graph, files) for node in graph.nodes.values()}
    galleries = read_galleries(graph, files, frames)
    for gallery in galleries:
        for node in (gallery.node, gallery.views):
            if node is not None:
                details[node.id].galleries.append(gallery)
    for detail in details.values():
        if detail.node.role == "pre-training":
            alt = f"Held-out reconstructions of {detail.node.label}: the truth above, the model's below"
            detail.reconstructions = copied(detail.node, "reconstructions", alt, site, files)
    for table in tables:
        found = graph.node(table.step)
        if found is not None and table.plotted:
            known = len(found.notes)
            table.picture = copied(found, "picture", table.words, site, files)
            table.notes += found.notes[known:]
    figures = []
    for step in drawn:
        found = graph.node(step)
        if found is not None:
            picture = copied(found, "picture", _words(_name(step)), site, files)
            figures.append(Figure(_name(step), found, picture))
    figures.sort(key=lambda figure: plain.natural(figure.name))
    papers = read_papers([*tables, *figures], states)
    return Content(tables, figures, galleries, graph, details, files, frames, papers, states)


def _top(lineage: Lineage) -> list[Step]:
    """The steps of stable names."""
    paths = [path.relative_to(lineage.results) for path in lineage.published()]
    found = [lineage.step(str(RESULTS / path)) for path in paths]
    return [step for step in found if step is not None]


def _name(step: Step) -> str:
    return str(Path(step.name).relative_to(RESULTS)).removesuffix(".record.json")


def _words(name: str) -> str:
    known = {
        "figure2": "The ten named geons.",
        "figure3": "Example test images of each classification set, one row a set: objects before their backgrounds.",
        "figure8": "All forty geons, each with its code.",
        "objects": "The objects of the study, class by class.",
        "figure10": "Held-out reconstructions of every pre-training of Table 4, beside the truth.",
    }
    return known.get(name, f"The picture of {name}.")


def _write(content: Content, site: Path) -> None:
    cells = [(table, block) for table in content.tables for block in _blocks(table.cells)]
    templates = _templates(content)
    _side_by_side(
        [
            *(partial(_write_cells, content, _writer(templates, site), table, block) for table, block in cells),
            *(partial(_write_runs, content, _writer(templates, site), block) for block in _blocks(content.nodes)),
            partial(_write_others, content, _writer(templates, site), site),
        ]
    )


def _write_cells(content: Content, write: Write, table: Table, cells: Sequence[Cell]) -> None:
    made = dict[tuple[str, ...], Made]()
    for cell in cells:
        _write_cell(write, content, table, cell, made)


def _write_runs(content: Content, write: Write, nodes: Sequence[Node]) -> None:
    for node in nodes:
        write("run.html", node.page, detail=content.details[node.id], drawing=_drawing(content, [node]))


def _write_others(content: Content, write: Write, site: Path) -> None:
    write("index.html", "index.html")
    for paper in content.papers:
        write("paper.html", paper.page, paper=paper)
    write("workflow.html", "workflow.html", drawing=layout.draw(stages(content.nodes)))
    write("search.html", "search.html")
    (site / "cells.js").write_text(_found_by_search(content), encoding="utf-8")
    for table in content.tables:
        root = content.graph.node(table.step)
        write("table.html", table.page, table=table, root=root, drawing=_drawing(content, [root]))
        for suffix in (".csv", ".cells.json"):
            _copy_download(content, table, suffix, site)
    for figure in content.figures:
        write("figure.html", figure.page, figure=figure, root=figure.node, drawing=_drawing(content, [figure.node]))
    for gallery in content.galleries:
        write("gallery.html", gallery.page, gallery=gallery)
    write("reconstructions.html", "galleries/reconstructions.html")
    write("curves.html", "curves.html")
    for name in ("site.css", "site.js", "search.js"):
        (site / name).write_bytes(resources.files(PACKAGE).joinpath(name).read_bytes())


def _blocks(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[first : first + _BLOCK] for first in range(0, len(items), _BLOCK)]


def _side_by_side(tasks: Sequence[Callable[[], None]]) -> None:
    """Carry out tasks in processes that share what was read; the first error ends all and comes back."""
    global _tasks  # what a forked process finds here needs not be copied to it
    _tasks = tasks
    workers = min(_WORKERS, len(os.sched_getaffinity(0)), len(tasks))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _leave_interrupts) as pool:
        waiting = [pool.submit(_carry_out, number) for number in range(len(tasks))]
        try:
            for one in waiting:
                one.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _leave_interrupts() -> None:
    """Ctrl-C reaches all processes; the one that started these tells of it and ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _carry_out(number: int) -> None:
    _tasks[number]()


def _found_by_search(content: Content) -> str:
    """All cells for the page's script: a page opened from disk may read scripts, but no data."""
    cells = [
        [table.title, cell.row, cell.column, cell.stated, cell.page] for table in content.tables for cell in table.cells
    ]
    return f"const CELLS = {json.dumps(cells)};\n"


@dataclass
class Made:
    """What a cell was made from, which many cells of a table have in common.

    Attributes:
        key: names it on the pages.
        nodes: of the graph, makers before users.
        drawing: of these; None: no record can be read.
        details: of these, users before makers.
    """

    key: tuple[str, ...]
    nodes: list[Node]
    drawing: layout.Drawing | None
    details: list[Detail]


def _write_cell(write: Write, content: Content, table: Table, cell: Cell, known: dict[tuple[str, ...], Made]) -> None:
    roots = {node.id: node for source in cell.sources if (node := content.graph.node(source.step)) is not None}
    root = content.graph.node(table.step)
    key = tuple(sorted(roots))
    if key not in known:
        # A table depends on all of its columns, a cell on its own sources only: other jobs of the table are left out.
        nodes = content.graph.behind(roots.values())
        nodes += [root] if root is not None and root not in nodes else []
        details = [content.details[node.id] for node in reversed(nodes)]
        known[key] = Made(key, nodes, layout.draw(nodes) if nodes else None, details)
    outcomes = read_outcomes(cell, content.graph, content.files, content.frames)
    write("cell.html", cell.page, table=table, cell=cell, root=root, made=known[key], outcomes=outcomes)


def _drawing(content: Content, roots: list[Node | None]) -> layout.Drawing | None:
    nodes = content.graph.behind(node for node in roots if node is not None)
    return layout.draw(nodes) if nodes else None


def _copy_download(content: Content, table: Table, suffix: str, site: Path) -> None:
    path = content.files.place(f"{RESULTS}/{table.name}{suffix}")
    if path is not None:
        (site / "files").mkdir(exist_ok=True)
        (site / download(table, suffix)).write_bytes(path.read_bytes())


def download(table: Table, suffix: str) -> str:
    """Where a table's file is in the site."""
    return f"files/{plain.slug(table.name)}{suffix}"


def _templates(content: Content) -> Environment:
    """The templates, compiled before processes share them; they escape all values."""
    environment = Environment(
        loader=PackageLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # else every import on a page looks at the template's file
    )
    environment.globals.update(content=content, plain=plain, curves=curves, layout=layout, download=download, tree=tree)
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def _writer(environment: Environment, site: Path) -> Write:
    """The function that writes one page; links are relative."""
    parts: dict[tuple[str, Hashable], Markup] = {}
    links: dict[str, str] = {}
    here = ""

    def write(template: str, page: str, **values: Any) -> None:
        nonlocal here
        folder = posixpath.dirname(page)
        if folder != here:  # links are relative, so that they and a part are the same in one folder only
            parts.clear()
            links.clear()
            here = folder

        def to(target: str) -> str:
            path, hash_mark, anchor = target.partition("#")
            if path not in links:
                links[path] = posixpath.relpath(path, folder or ".") if path else ""
            return links[path] + hash_mark + anchor

        def part(template: str, key: Hashable, **values: Any) -> Markup:
            """A part of a page, made once for all pages of a folder that have it: there are hundreds."""
            if (template, key) not in parts:
                text = environment.get_template(template).render(page=page, to=to, part=part, **values)
                parts[template, key] = Markup(text)
            return parts[template, key]

        path = site / page
        path.parent.mkdir(parents=True, exist_ok=True)
        text = environment.get_template(template).render(page=page, to=to, part=part, **values)
        path.write_text(text, encoding="utf-8")

    return write
