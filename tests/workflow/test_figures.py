"""Figures of numbers at the tests' scale, beside Table 4 that was made before."""

import json
import re
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
from configuration import at_test_scale
from project import Project
from test_audit import copied

from robust3d.architectures import architecture
from robust3d.files import sha256
from robust3d.models.classifier import Classifier
from robust3d.provenance.why import why

RESNET18 = architecture("resnet18")

pytestmark = pytest.mark.slow


def attacks(project: Project) -> set[str]:
    return {job for job, told in project.records("probe").items() if told["spec"]["params"]["probe"] == "autoattack"}


@pytest.fixture(scope="module")
def project(finished: Project, tmp_path_factory) -> Project:
    """A copy of Tables 1 to 4 with figures 7 and 9, then 4, 5 and 6."""
    project = copied(finished, tmp_path_factory.mktemp("figures") / "copy")
    project.change({"papers": {"geon3d": {"figure7": {"pretraining": ["dvr"]}}}})
    before = attacks(project)
    told = project.make("--cores", "2", "results/figure7.svg", "results/figure9.csv")
    assert "rule probe:" not in told and attacks(project) == before
    project.make("--cores", "2", "results/figure4.svg", "results/figure5.svg", "results/figure6.svg")
    return project


def read(project: Project, name: str) -> tuple[pd.DataFrame, dict[tuple[str, str], dict]]:
    table = pd.read_csv(project.folder / f"results/{name}.csv", index_col=0, dtype=str, keep_default_na=False)
    told = json.loads((project.folder / f"results/{name}.cells.json").read_text())
    return table, {(cell["row"], cell["column"]): cell for cell in told["cells"]}


def test_every_number_of_a_curve_is_that_of_its_metrics(project):
    for name, rows in (("figure4", 3), ("figure5", 3), ("figure7", 4), ("figure9", 4)):
        table, cells = read(project, name)
        assert len(table) == rows and table.size == len(cells)
        for (row, column), cell in cells.items():
            assert table.loc[row, column] == cell["text"]
            metrics, outcomes = cell["sources"]
            found = json.loads((project.folder / metrics["file"]).read_text())
            assert found["attack"]["norm"] == row.split()[0]
            for key in metrics["pointer"].strip("/").split("/"):
                found = found[key.replace("~1", "/")]
            assert f"{100 * found:.1f}" == cell["text"] and found == pytest.approx(cell["value"] / 100)
            what, value = re.fullmatch(r"(\w+) where budget = (.+)", outcomes["pointer"]).groups()
            frame = pd.read_parquet(project.folder / outcomes["file"])
            chosen = frame[frame["budget"] == value]
            assert set(chosen["epsilon"]) == {float(Fraction(value))}
            assert chosen[what].mean() == pytest.approx(found) and len(chosen) == cell["n"]
            assert {source["sha256"] for source in cell["sources"]} == {
                sha256(project.folder / source["file"]) for source in cell["sources"]
            }
    assert list(read(project, "figure4")[0].index) == ["Linf 0/255", "Linf 8/255", "Linf 16/255"]
    assert list(read(project, "figure9")[0].columns) == ["AT", "AE+AT", "DVR+AT"]


def test_the_curves_agree_with_table_4_and_the_bars_with_the_curves_and_table_3(project):
    _, table = read(project, "table4")
    _, curves = read(project, "figure9")
    for place, cell in table.items():
        if place in curves:
            assert curves[place]["text"] == cell["text"] and curves[place]["sources"] == cell["sources"]
            ends = curves[place[0].split()[0] + (" 0/255" if "255" in place[0] else " 0.0"), place[1]]
            assert cell["area_under_curve"]["value"] == pytest.approx((cell["value"] + ends["value"]) / 200)
    figure, bars = read(project, "figure6")
    assert list(figure.index) == ["Linf", "L2"]
    assert list(figure.columns) == ["black", "textured", "correlated shifted"]
    for norm, name in (("Linf", "figure4"), ("L2", "figure5")):
        _, curves = read(project, name)
        for experiment in ("black", "textured"):
            gains = [
                curves[row, f"{experiment} DVR+AT"]["value"] - cell["value"]
                for (row, column), cell in curves.items()
                if column == f"{experiment} AT" and cell["epsilon"] > 0
            ]
            assert bars[norm, experiment]["value"] == pytest.approx(sum(gains) / len(gains))
        _, shifted = read(project, "table3")
        told = shifted["shifted", f"DVR+AT-{norm}"]["value"] - shifted["shifted", f"AT-{norm}"]["value"]
        assert bars[norm, "correlated shifted"]["value"] == pytest.approx(told)


def test_figures_are_audited_as_tables_are(project, monkeypatch, tmp_path):
    monkeypatch.chdir(project.folder)
    stages = {"probe", "train_classifier", "draw_set", "index_views", "render_shard", "build_shapes"}
    for name in ("figure4", "figure6"):
        for row, column in read(project, name)[1]:
            steps = why(Path(f"results/{name}.csv"), row, column)["steps"].values()
            assert {step["stage"] for step in steps} >= stages
            asked = {step["params"]["probe"] for step in steps if step["stage"] == "probe"}
            assert asked == {"shift" if "shifted" in column else "autoattack"}
    told = project.robust3d("verify", "results/figure4.svg", "results/figure6.csv")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "nothing to be done" in project.robust3d("plan", "results/figure4.svg", "results/figure6.csv").stdout
    same = project.robust3d("diff", "results", "results", "--cell", "figure4", "Linf 8/255", "black AT")
    assert same.returncode == 0, same.stdout + same.stderr
    assert project.robust3d("export", "results/figure4.svg", "--crate", str(tmp_path / "crate")).returncode == 0
    assert (tmp_path / "crate/results/figure4.svg").is_file()
    assert project.robust3d("site").returncode == 0
    page = Path("results/site/figure4.html").read_text()
    assert ".svg" in page and "black DVR+AT" in page
    assert len(list(Path("results/site/figure4").glob("*.html"))) == 12
    assert 'href="figure4.html"' in Path("results/site/index.html").read_text()
    # A bit of the picture flips: it is named.
    picture = Path("results/figure4.svg")
    whole = picture.read_bytes()
    picture.unlink()
    picture.write_bytes(whole.replace(b"DVR", b"dvr"))
    told = project.robust3d("verify", "results/figure4.svg")
    assert told.returncode == 1 and "CHANGED" in told.stdout
    picture.write_bytes(whole)


def test_the_controls_become_curves_after_the_papers(project):
    import torch

    weights = project.folder / "resnet18.pth"
    values = at_test_scale()["pretraining"]
    imagenet = values["imagenet"] | {"experiments": ["categories"], "params": {"weights": weights.name}}
    project.change({"pretraining": {"supervised": values["supervised"], "imagenet": imagenet}})
    told = project.snakemake("--cores", "2", "results/figure9.svg")
    assert told.returncode != 0 and "ResNet18_Weights.IMAGENET1K_V1" in told.stderr + told.stdout
    torch.save(
        Classifier(RESNET18, 1000, seed=5).network.state_dict(), weights
    )  # what the real file holds, but untrained
    project.make("--cores", "2", "results/figure9.svg")
    table, cells = read(project, "figure9")
    assert list(table.columns) == ["AT", "AE+AT", "DVR+AT", "ImageNet-init+AT", "Supervised+AT"]  # these two by name
    (imagenet,) = cells["L2 1.0", "ImageNet-init+AT"]["conditions"]
    assert imagenet["start"] == "encoder" and imagenet["encoder"]["method"] == "weights"
    assert imagenet["encoder"]["start"] == {"weights": weights.name, "sha256": sha256(weights), "prefix": ""}
    (supervised,) = cells["L2 1.0", "Supervised+AT"]["conditions"]
    (autoencoder,) = cells["L2 1.0", "AE+AT"]["conditions"]
    assert supervised["start"] == "encoder" and supervised["encoder"]["method"] == "supervised"
    assert supervised["encoder"]["images_seen"] == autoencoder["encoder"]["images_seen"]
