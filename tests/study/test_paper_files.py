"""A paper's own configuration file: the lowest layer of every study."""

import importlib
from pathlib import Path

import pytest
import yaml

from robust3d.errors import UserError
from robust3d.study import targets
from robust3d.study.plan import Plan
from robust3d.study.reading import SECTIONS, read_papers, read_study, read_yaml

CONFIG = Path(__file__).parents[2] / "config.yaml"
SECTION = """
from robust3d.params import Params

class Section(Params):
    family: str
    columns: int = 1

    def check(self, study):
        study.families[self.family]
"""


@pytest.fixture
def paper(tmp_path, monkeypatch):
    """Adds a paper with a file to those that there are."""
    package = importlib.import_module("robust3d.papers")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    caches = (targets.papers, targets.targets)

    def add(name: str, values: dict) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "section.py").write_text(SECTION)
        (folder / "config.yaml").write_text(yaml.safe_dump(values))
        importlib.invalidate_caches()
        for cache in caches:
            cache.cache_clear()
        return folder / "config.yaml"

    yield add
    for cache in caches:
        cache.cache_clear()


def test_a_papers_file_lies_below_config_the_scale_and_overlays(paper, tmp_path):
    paper("leaf", {
        "papers": {"leaf": {"family": "leaves"}},
        "families": {"leaves": {"kind": "geons", "shapes": {"scalings": [1.0]}, "cameras": {"views": 2},
                                "render": {"like": "geons"}, "shard_instances": 4}},
        "classifiers": {"long": {"like": "linf", "epochs": 70}},
    })  # fmt: skip
    study = read_study([CONFIG], {"scale": "test"})
    assert list(study.papers) == ["geon3d", "comparison", "flatland", "leaf", "prior3d", "shapebias", "winn3d"]
    assert study.papers["leaf"].family == "leaves" and study.papers["leaf"].columns == 1
    assert study.families["leaves"].render == study.families["geons"].render  # of the scale
    long, linf = study.classifiers["long"], study.classifiers["linf"]
    assert (long.epochs, long.batch_size) == (70, linf.batch_size)
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("{papers: {leaf: {columns: 3}}, families: {leaves: {cameras: {views: 5}}}}")
    study = read_study([CONFIG, overlay])
    assert study.papers["leaf"].columns == 3 and study.families["leaves"].views == 5
    overlay.write_text("papers: {leaf: null}")
    assert list(read_study([CONFIG, overlay]).papers) == [
        "geon3d",
        "comparison",
        "flatland",
        "prior3d",
        "shapebias",
        "winn3d",
    ]


def test_a_papers_file_changes_no_job_of_another(paper):
    before = {job.id for job in Plan(read_study([CONFIG])).every_job()}
    paper("leaf", {"papers": {"leaf": {"family": "geons"}}, "classifiers": {"long": {"like": "linf", "epochs": 70}}})
    assert {job.id for job in Plan(read_study([CONFIG])).every_job()} == before


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"seed": 3}, "seed: a paper's file only adds entries to families, voxels, sets"),
        ({"scale": "gpu"}, "scale: a paper's file only adds entries"),
        ({"textures": {"source": "dtd"}}, "textures: a paper's file only adds entries"),
        ({"sets": [1]}, "sets: a paper's file only adds entries"),
        ({"papers": {"geon3d": {"table4": "black"}}}, "papers.geon3d: this file belongs to the paper 'leaf'"),
        ({"papers": {"leaf": {"famly": "geons"}}}, "papers.leaf.famly: unknown key"),
    ],
)
def test_what_a_papers_file_may_not_say_is_refused(paper, values, says):
    paper("leaf", values)
    with pytest.raises(UserError) as error:
        read_study([CONFIG])
    assert says in str(error.value)


def test_two_papers_with_one_entry_are_refused(paper):
    first = paper("leaf", {"classifiers": {"long": {"like": "linf"}}})
    second = paper("moss", {"classifiers": {"long": {"like": "l2"}}})
    with pytest.raises(UserError) as error:
        read_papers()
    assert f"{second}: classifiers.long: {first} defines it too" in str(error.value)


def test_shipped_files_leave_the_entries_of_config_yaml_alone():
    shared = read_yaml(CONFIG)
    for section, entries in read_papers().items():
        assert section in SECTIONS and not set(entries) & set(shared[section]), section
