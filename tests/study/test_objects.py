"""Other objects by a key: overlays of workflow/objects, after the scale's and before the user's own."""

from pathlib import Path

import pytest
import yaml

from robust3d import registry
from robust3d.doctor.datasets import data_sets
from robust3d.errors import UserError
from robust3d.study.needs import data_folders
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study

CONFIG = Path("config.yaml")
SCALES = [None, *sorted(path.stem for path in Path("workflow/scales").glob("*.yaml"))]


def real(scale=None, *overlays, **given):
    return read_study([CONFIG, *overlays], {"objects": "real", "scale": scale, **given})


@pytest.mark.parametrize("scale", SCALES)
def test_real_objects_at_every_scale(scale):
    """Both tables are made of them, and the images that are asked for exist in equal shares, whatever the seed."""
    study = real(scale)
    base = read_study([CONFIG], {"scale": scale})
    assert study.study == f"real-{scale}" if scale else "real"
    for key in ("categories", "correlated", "shifted"):
        assert study.families[study.family_of(key)].kind == "sweethome3d" and study.family_of(key) != base.family_of(
            key
        )
    params = study.families["objects"].shape_params()
    assert set(params.classes) <= set(registry.load("family", "sweethome3d").Params().classes)
    experiments = [study.experiments[study.papers["geon3d"].table3], study.experiments[study.papers["geon3d"].table4]]
    assert {study.family_of(experiment.set) for experiment in experiments} == {"objects"}
    assert study.attacks == base.attacks
    # Two columns more, of another architecture, so classifiers have that of their encoder; all else stays.
    for name in ("imagenet-lite0", "lite0"):
        assert study.pretraining[name].experiments == ("categories",)
    for name, entry in study.pretraining.items():
        assert entry.model_copy(update={"experiments": ()}) == base.pretraining[name].model_copy(
            update={"experiments": ()}
        )
    for name in ("linf", "l2", "standard"):
        ours, theirs = study.classifiers[name], base.classifiers[name]
        changed = {key for key in type(ours).model_fields if getattr(ours, key) != getattr(theirs, key)}
        assert changed <= {"architecture", "normalisation", "epochs", "decay_epochs"} and ours.architecture is None


def test_the_default_stays():
    study = read_study([CONFIG])
    assert "objects" not in study.families and study.study == "default"
    assert all(family.kind != "sweethome3d" for family in study.families.values())


def test_own_overlays_win_and_may_ask_for_them(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        yaml.safe_dump({"objects": "real", "sets": {"categories": {"images": [140, 14, 14]}}})
    )
    study = read_study([CONFIG, tmp_path / "mine.yaml"])
    assert study.sets["categories"].images == (140, 14, 14) and "objects" in study.families
    assert "objects" not in read_study([CONFIG, tmp_path / "mine.yaml"], {"objects": None}).families


def test_unknown_objects_are_refused():
    with pytest.raises(UserError, match=r"objects: there is no 'reel'.*has real"):
        read_study([CONFIG], {"objects": "reel"})


def test_a_scale_without_sizes_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("workflow/scales/tiny.yaml", "workflow/objects/wooden/default.yaml"):
        Path(path).parent.mkdir(parents=True)
        Path(path).write_text("study: x\n")
    CONFIG.write_text("study: y\n")
    with pytest.raises(UserError, match=r"objects: workflow/objects/wooden/tiny.yaml is not there"):
        read_study([CONFIG], {"objects": "wooden", "scale": "tiny"})


def test_random_splits_are_refused():
    with pytest.raises(UserError, match=r"families.objects.*split.mode: random has no meaning for kind sweethome3d"):
        real(families={"objects": {"split": {"mode": "random"}}})
    with pytest.raises(UserError, match=r"split.mode: orbit has no meaning for kind modelnet"):
        read_study([CONFIG], {"families": {"m": modelnet("orbit")}})
    assert read_study([CONFIG], {"families": {"m": modelnet("published")}})


def modelnet(mode):
    return {
        "kind": "modelnet",
        "shapes": {"path": "resources/modelnet"},
        "cameras": {"protocol": "nmr", "views": 2},
        "render": {"like": "geons"},
        "split": {"mode": mode},
    }


def test_what_is_missing_is_told_before_anything_runs(tmp_path):
    study = real("test", families={"objects": {"shapes": {"path": str(tmp_path / "none")}}})
    (complaint,) = [told for told in data_folders([Plan(study).target("table4")]).values() if told]
    assert complaint.startswith("families.objects.shapes.path: no folder") and "apt-get install" in complaint
    (found,) = [data for data in data_sets(study) if data.name == "sweethome3d"]
    assert found.complaint() and "apt-get install sweethome3d-furniture" in found.how_to_get()
