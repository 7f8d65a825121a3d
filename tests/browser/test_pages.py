import hashlib
import json
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from robust3d.errors import UserError
from robust3d.provenance.lineage import Step
from robust3d.provenance.site import build_site
from robust3d.provenance.site.graph import Node, stages
from robust3d.provenance.site.serve import server_of
from robust3d.study.targets import papers, targets


class Page(HTMLParser):
    """What of a page matters here."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.links, self.ids, self.tags, self.text = path, [], [], set(), ""
        self.handlers: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        told = dict(attrs)
        self.links += [told[name] for name in ("href", "src") if told.get(name)]
        self.ids += [told["id"]] if "id" in told else []
        self.handlers += [name for name in told if name.startswith("on")]

    def handle_data(self, data):
        self.text += data


def pages(site: Path) -> dict[str, Page]:
    return {str(path.relative_to(site)): Page(path) for path in sorted(site.rglob("*.html"))}


def digests(site: Path) -> dict[str, str]:
    return {
        str(p.relative_to(site)): hashlib.sha256(p.read_bytes()).hexdigest() for p in site.rglob("*") if p.is_file()
    }


def test_the_same_results_give_the_same_bytes(results):
    first = digests(build_site().parent)
    assert digests(build_site().parent) == first
    copy = shutil.copytree(results.root, results.root.parent / "copy", ignore=shutil.ignore_patterns("site"))
    assert digests(build_site(copy).parent) == first
    assert not list(results.root.glob(".*site*"))


def test_every_link_leads_to_a_file_of_the_site(site):
    found = pages(site)
    assert len(found) > 20
    for name, page in found.items():
        assert len(page.ids) == len(set(page.ids)), name
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme == "data":
                continue
            assert not parts.scheme and not parts.netloc, f"{name}: {link}"
            target = (site / name).parent.joinpath(unquote(parts.path)).resolve() if parts.path else site / name
            assert target.is_file() and target.is_relative_to(site), f"{name}: {link}"
            if parts.fragment:
                assert parts.fragment in found[str(target.relative_to(site))].ids, f"{name}: {link}"


def test_what_records_and_cells_say_stays_text(site):
    hostile, odd = "</script><img src=x onerror=alert(1)>", "<img src=x onerror=alert(2)>"
    found = pages(site)
    for name, page in found.items():
        assert not page.handlers and "x" not in page.links, name
    cell = next(page for name, page in found.items() if name.startswith("table4/") and "onerror" in name)
    assert hostile in cell.text and odd in cell.text
    assert hostile in found["table4.html"].text and hostile in found["index.html"].text


def test_a_cell_says_what_it_is(site):
    cell = pages(site)["table4/linf-8-255--at.html"]
    for words in (
        "66.7 %",
        "20.0 to 94.0",
        "not comparable",
        "stand-ins",
        "mean",
        "0.6666666666666666",
        "2 of 3 robust",
    ):
        assert words in cell.text, words
    assert "Encoder" not in cell.text  # another column's


@pytest.mark.parametrize("damage", ["gone", "truncated", "other"])
def test_a_damaged_shard_is_noted(results, damage):
    shard = results.path(results.shard)
    if damage == "gone":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:900] if damage == "truncated" else b"no shard")
    found = pages(build_site().parent)
    gallery = next(page for name, page in found.items() if name.startswith("galleries/index-views"))
    sentence = "is not there any more" if damage == "gone" else "is not the file that was recorded"
    assert sentence in gallery.text and "img" in gallery.tags  # the other class is shown
    assert sentence in found["table4/linf-8-255--at.html"].text


@pytest.mark.parametrize(
    ("file", "content", "page", "words"),
    [
        ("table4.cells.json", "{", "table4.html", "damaged"),
        ("table4.cells.json", "[1]", "table4.html", "cannot be shown"),
        ("table4.cells.json", '{"cells": [3, {"row": 1}]}', "table4.html", "without row or column"),
        ("table4.cells.json", None, "table4.html", "cannot be shown"),
        ("table4.record.json", "{}", "table4.html", "no readable record"),
        ("figure2.png", "no picture", "figure2.html", "not the file that was recorded"),
        ("figure4.svg", "<svg/>", "figure4.html", "not the file that was recorded"),
        ("figure4.svg", None, "figure4.html", "is not there any more"),
    ],
)
def test_a_damaged_target_is_noted(results, file, content, page, words):
    path = results.root / file
    path.unlink() if content is None else path.write_text(content)
    assert words in pages(build_site().parent)[page].text


def test_a_plot_is_a_figure_whose_points_are_cells(site):
    found = pages(site)
    (picture,) = (site / "pictures").glob("plot-figure4-*.svg")
    for page, up in (("figure4.html", ""), ("papers/geon3d.html", "../")):
        assert f"{up}pictures/{picture.name}" in found[page].links
    assert "figure4/linf-8-255--at.html" in found["figure4.html"].links
    assert "svg" in found["figure4/linf-8-255--at.html"].tags  # its lineage, drawn


def test_the_start_page_shows_the_comparison(site):
    found = pages(site)
    (picture,) = (site / "pictures").glob("plot-comparison-*.svg")
    for page, up in (("index.html", ""), ("comparison.html", ""), ("papers/comparison.html", "../")):
        assert f"{up}pictures/{picture.name}" in found[page].links
    assert "comparison.html" in found["index.html"].links


def test_each_paper_has_a_page_that_tells_what_is_there(site):
    found = pages(site)
    assert {f"papers/{paper}.html" for paper in papers()} <= set(found["index.html"].links)
    main, other = found["papers/geon3d.html"], found["papers/shapebias.html"]
    assert f"4 of {len(targets('geon3d'))} are there" in main.text and "../table4/linf-8-255--at.html" in main.links
    assert "snakemake results/table2.csv" in main.text and "snakemake results/table4.csv" not in main.text
    assert "0 of" in other.text and "snakemake results/shapebias/table1.csv" in other.text


def test_a_target_of_another_study_is_called_so(results):
    states = {"table1": "", "table4": "was made with other parameters, code or inputs", "table2": "is not there"}
    found = pages(build_site(states=states).parent)
    assert "1 of them is not of the study" in found["index.html"].text
    for page in ("papers/geon3d.html", "table4.html", "table4/linf-8-255--at.html"):
        assert found[page].text.count("other parameters, code or inputs") == 1, page
    assert "Not that of the study: was made with" in found["index.html"].text  # by the table itself too
    assert "Not that of the study" not in found["table1.html"].text


def test_the_search_knows_every_cell(site):
    found = pages(site)
    text = (site / "cells.js").read_text()
    cells = json.loads(text.removeprefix("const CELLS = ").removesuffix(";\n"))
    assert {cell[4] for cell in cells} == {
        name for name in found if name.startswith(("table", "figure4/", "comparison/")) and "/" in name
    }
    assert ["Table 4", "Linf 8/255", "AT", "66.7 %", "table4/linf-8-255--at.html"] in cells


def test_the_workflow_is_drawn_by_stages_with_all_their_jobs(site):
    page = pages(site)["workflow.html"]
    assert "Build shapes" in page.text and "Tabulate" in page.text
    runs = {f"runs/{path.name}" for path in (site / "runs").iterdir()}
    assert runs <= set(page.links)


def test_a_way_back_between_stages_is_left_out():
    step = Step("r", {"spec": {"stage": "", "params": {}}, "seconds": 2.0})
    nodes = [
        Node("a", "pretrain", "first", [step]),
        Node("b", "extract_encoder", "its encoder", [step], ["a"]),
        Node("c", "pretrain", "from it", [step], ["b"]),
        Node("d", "train_classifier", "t", [step], ["b"]),
    ]
    found = {node.stage: node for node in stages(nodes)}
    assert found["pretrain"].parents == [] and found["pretrain"].summary == "2 jobs, 4.0 s"
    assert found["extract_encoder"].parents == [found["pretrain"].id]
    assert found["train_classifier"].parents == [found["extract_encoder"].id]


def test_it_is_served_to_this_machine_alone(site):
    server = server_of(site, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        host, port = server.server_address
        assert host == "127.0.0.1"
        with urllib.request.urlopen(f"http://{host}:{port}/") as answer:
            assert answer.read() == (site / "index.html").read_bytes()
        with pytest.raises(UserError, match=f"--serve {port}: .*free port"):
            server_of(site, port)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://{host}:{port}/../../table4.csv")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_port_that_is_none_is_refused(site):
    with pytest.raises(UserError, match="--serve 70000"):
        server_of(site, 70000)


def test_a_picture_that_is_no_picture_is_not_shown(results):
    """Recorded as it is, so nothing is wrong with the file but what is in it."""
    path = results.root / "figure4.record.json"
    record = json.loads(path.read_text())
    for content in (b"<html/>", b"no XML", b"\x89PNG"):
        (results.root / "figure4.svg").write_bytes(content)
        record["outputs"]["picture"] = results.file("results/figure4.svg")
        path.write_text(json.dumps(record))
        found = pages(build_site().parent)
        assert "is damaged" in found["figure4.html"].text + found["index.html"].text
        assert not any(link.startswith("pictures/plot") for link in found["figure4.html"].links)


def test_odd_cells_are_shown_as_they_are(results):
    def change(content):
        content["cells"][0].update(
            interval="wide", printed=[], flags=3, conditions=[7], sources=[{}, "x"], value=float("nan")
        )

    results.cells("table4", change)
    assert "66.7" in pages(build_site().parent)["table4/linf-8-255--at.html"].text


def test_a_difference_is_told_with_what_it_is_to_and_what_may_be_said(results):
    apart = {"to": "Scratch", "value": 0.1268, "low": 0.09, "high": 0.16, "kind": "paired t", "verdict": "differs"}
    apart |= {"p": 0.0004, "p_holm": 0.03, "comparisons": 148, "verdict_holm": "differs"}

    def change(content):
        content["cells"][0]["difference"] = apart

    results.cells("table4", change)
    text = pages(build_site().parent)["table4/linf-8-255--at.html"].text
    assert "Against Scratch" in text and "+12.7 points (+9.0 to +16.0)" in text
    assert "differs (p 0.0004); among 148 comparisons differs (Holm's p 0.03)" in text
    assert "difference.value" not in text


def test_a_cell_without_sources_says_why(results):
    def no_number(content):
        content["cells"][0].update(text="–", value=None, sources=[], flags=["needs weights that are not there"])

    results.cells("table4", no_number)
    found = pages(build_site().parent)
    assert "there is no number. The flags say why." in found["table4/linf-8-255--at.html"].text
    assert "it follows from definitions in the code" in found["table1/axis--values.html"].text


def test_a_lost_record_ends_the_lineage_with_a_note(results):
    results.path(results.shard).with_name("record.json").unlink()
    found = pages(build_site().parent)
    assert "no readable record of how" in found["table4/linf-8-255--at.html"].text


def test_metrics_without_rows_give_a_note_instead_of_a_curve(results):
    results.path(results.pretrain["metrics.json"]).write_text(json.dumps({"rows": [{"step": "x"}, 4]}))
    assert "there is no curve" in pages(build_site().parent)["curves.html"].text


def test_nothing_outside_the_results_is_read(results):
    (results.root.parent / "secret.json").write_text('{"a": "the secret"}')

    def change(content):
        for name in ("results/../secret.json", str(results.root.parent / "secret.json")):
            content["cells"][0]["sources"].append({"file": name, "pointer": "/a", "sha256": ""})

    results.cells("table4", change)
    assert "the secret" not in pages(build_site().parent)["table4/linf-8-255--at.html"].text


def test_a_failed_build_leaves_the_old_site(results, monkeypatch):
    before = digests(build_site().parent)
    monkeypatch.setattr("robust3d.provenance.site.build.resources.files", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_site()
    assert digests(results.root / "site") == before
    assert not list(results.root.glob(".*site*"))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="no table or figure yet"):
        build_site(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_site_needs_no_heavy_library(results):
    code = (
        "import sys; from robust3d.provenance.site import build_site; build_site(); "
        "print(sorted({'torch', 'bpy', 'snakemake'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=results.root.parent)
    assert done.stdout.strip() == "[]", done.stderr
