"""The families and sets of docs/data.md, from their entries to images: the stages themselves, without Blender."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from configuration import ROOT, at_test_scale
from PIL import Image

from robust3d import registry
from robust3d.data.frame import Frame
from robust3d.data.images import open_set
from robust3d.data.manifest import Views
from robust3d.data.mixtures import chosen_classes, mixed
from robust3d.data.published.image_folder import export_images
from robust3d.errors import UserError
from robust3d.provenance.runner import Context
from robust3d.stages import render_shard
from robust3d.study.jobs import Job, canonical_json
from robust3d.study.like import merge
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study

SIDE = 8
TEXT = (ROOT / "docs/data.md").read_text().partition("## Synthetic objects for pre-training\n")[2]
PRINTED = yaml.safe_load(TEXT.partition("```yaml\n")[2].partition("```")[0])
SMALL = {
    "families": {
        "procsynth": {
            "shapes": {"meshes": 3, "instances": 3, "w": 1, "min_distance": 0.0},
            "cameras": {"views": 4},
            "render": {"resolution_px": SIDE},
            "shard_classes": 2,
        },
        "morphsynth": {"shapes": {"meshes": 1, "draws": 4, "vertices": 200}},
    },
    "sets": {
        "procsynth": {"images": [12, 3, 3]},
        "morphsynth": {"images": [12, 4, 4]},
        "flatworld": {"images": [9, 3, 3]},
        "fractals": {"categories": 4, "points": 400, "resolution_px": SIDE, "draw_px": 20, "fit": "stretch"}
        | {"variants": 3, "patterns": 1, "fill": 0.03, "images": [12, 4, 4]},
    },
}


def draw(requests, *rest):
    """In place of Blender: the left half is the object, in a colour that tells which, and in which view."""
    held = rest[-1]
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, :4] = True
    depth = np.where(mask, 2, np.inf).astype(np.float32)
    for name, mesh, poses in requests:
        for view, pose in enumerate(poses):
            if (name, view) not in held:
                colour = [*np.frombuffer(mesh.vertices.tobytes()[:2], np.uint8), 10 * view, 255]
                rgba = (np.array(colour) * mask[..., None]).astype(np.uint8)
                yield Frame(name, view, rgba, mask, depth, pose, np.eye(3))


class Borrowing(Context):
    """A context that takes files of earlier jobs as they are."""

    def borrow(self, other, kind):
        return other.output(kind)


class Study:
    """Makes jobs of the study in the order of their inputs."""

    def __init__(self) -> None:
        self.plan = Plan(load_study(merge(merge(at_test_scale(), PRINTED), SMALL)))
        self.notes: dict[str, dict[str, Any]] = {}

    def make(self, job: Job) -> None:
        for files in (*job.inputs.values(), *job.bulk.values()):
            for other, output in files:
                if not Path(other.output(output)).exists():
                    self.make(other)
        names = [name for name in job_outputs(job) if name != "record"]
        outputs = {name: Path(job.output(name)) for name in names}
        folder = next(iter(outputs.values())).parent
        (folder / "progress").mkdir(parents=True, exist_ok=True)
        inputs = {kind: [Path(path) for path in paths] for kind, paths in job.input_paths().items()}
        context = Context(json.loads(canonical_json(job.params)), inputs, outputs, folder / "progress", 1)
        registry.load("stage", job.stage).run(context)
        self.notes[job.id] = context.notes

    def set(self, name: str) -> tuple[dict[str, Any], dict[str, list[Path]]]:
        """Parameters and files of a set."""
        inputs, bulk = self.plan.set_inputs(name)
        for files in (*inputs.values(), *bulk.values()):
            for job, output in files:
                if not Path(job.output(output)).exists():
                    self.make(job)
        files = {kind: [Path(job.output(output)) for job, output in found] for kind, found in inputs.items()}
        return json.loads(canonical_json(self.plan.set_params(name))), files


def job_outputs(job: Job) -> list[str]:
    from robust3d.study.stages import STAGES

    return list(STAGES[job.stage].outputs)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "envs").symlink_to(ROOT / "envs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(render_shard, "render_instances", draw)
        yield Study()


def test_several_classes_share_a_shard_and_each_image_is_its_own(study):
    params, files = study.set("procsynth")
    views = Views.read(files["views"][0])
    assert [sorted(shard.instances) for shard in views.shards] in (
        [["p0000", "p0001"], ["p0002"]],
        [["p0002"], ["p0000", "p0001"]],
    )
    assert {len(ids) for part in ("train", "val", "test") for ids in views.objects(part).values()} == {1}
    images = open_set(params, files, "train")
    assert images.classes == ("p0000", "p0001", "p0002") and len(set(images.ids)) == len(images) == 12
    (shapes,) = {job for job, _ in study.plan.shards("procsynth")[0].inputs["shapes"]}
    manifest = json.loads(Path(shapes.output("manifest")).read_text())
    assert len(manifest) == 9 and set(study.notes[shapes.id]) == {"rejected"}
    seen = images.all()
    for row, image in zip(images.rows.itertuples(), seen, strict=True):
        assert image[2, 0, 0] == 10 * row.view
    colours = {(row.class_name, tuple(image[:2, 0, 0].tolist())) for row, image in zip(images.rows.itertuples(), seen)}
    assert len(colours) == 3  # one object of each class is in this split


def test_a_pose_is_each_objects_own_or_the_same_for_all(study):
    def poses(family):
        study.set(family)
        views = Views.read(Path(study.plan.index_views(family).output("manifest")))
        return views.load(views.shards, set(views.splits["train"])).world_to_camera

    own, flat = poses("procsynth"), poses("flatworld")
    assert len(np.unique(own, axis=0)) == len(own) and len(np.unique(flat, axis=0)) == 1


def test_frames_of_an_earlier_shard_are_copied_by_class_and_instance(study, tmp_path):
    study.set("procsynth")
    job = study.plan.shards("procsynth")[0]
    inputs = {"shapes": [Path(job.input_paths()["shapes"][0])]}
    told = json.loads(canonical_json(job.params))

    class Other:
        params = told | {"classes": ["p0001"]}

        def is_whole(self, name):
            return True

        def output(self, name):
            return tmp_path / f"other-{name}"

    def context(params, name, alike):
        outputs = {kind: tmp_path / f"{name}-{kind}" for kind in ("views", "manifest")}
        (tmp_path / name).mkdir()
        return Borrowing(params, inputs, outputs, tmp_path / name, 1, alike)

    render_shard.run(context(Other.params, "other", lambda: iter(())))
    again = context(told, "again", lambda: iter([Other()]))
    render_shard.run(again)
    assert again.notes["frames_copied"] == 12 and again.notes["frames_rendered"] == 12
    assert again.outputs["views"].read_bytes() == Path(job.output("views")).read_bytes()
    assert again.outputs["manifest"].read_bytes() == Path(job.output("manifest")).read_bytes()


def test_flatworld_shows_each_view_often(study):
    params, files = study.set("flatworld")
    images = open_set(params, files, "train")
    assert len(images) == 9 and images.rows["view"].max() > 0 and len(set(images.ids)) == 9


@pytest.mark.parametrize("name", ["proc_fractals", "proc_morphs", "all_three"])
def test_a_mixture_shows_the_images_of_its_parts(study, name):
    params, files = study.set(name)
    parts = [part["name"] for part in params["parts"]]
    for split in ("train", "test"):
        images = open_set(params, files, split, resident_bytes=0)
        rows = images.rows
        assert set(rows["part"]) == set(parts) and rows.groupby("class_name").size().nunique() == 1
        assert rows["class_name"].str.split("-").str[0].tolist() == rows["part"].tolist()
        shown = images.batch(list(range(len(images))))
        for part in parts:
            told, its_files = study.set(part)
            mine = np.flatnonzero(rows["part"] == part)
            whole = pd.read_parquet(its_files["set"][0])
            ids = whole.iloc[rows["row"].iloc[mine]]["instance"].tolist()
            assert ids == rows["instance"].iloc[mine].tolist()
            alone = open_set(told, its_files, split)
            keys = zip(alone.rows["class_name"], alone.rows["instance"], alone.rows["view"], strict=True)
            place = {key: k for k, key in enumerate(keys)}
            for k in mine:
                key = (rows["class_name"].iloc[k].partition("-")[2], rows["instance"].iloc[k], rows["view"].iloc[k])
                assert (shown[k] == alone.all()[place[key]]).all()


def test_no_object_stands_under_two_labels_and_the_choice_is_the_seeds():
    classes = {
        "proc": [f"p{k:04d}" for k in range(1000)],
        "morph": [f"p{k:04d}-m{m}" for k in range(100) for m in range(10)],
        "fractals": [f"{k:05d}" for k in range(1000)],
    }
    for parts, share in ((("proc", "fractals"), 500), (("proc", "morph"), 500), (tuple(classes), 333)):
        held = {part: classes[part] for part in parts}
        found = chosen_classes(held, None, 0)
        assert {part: len(set(names)) for part, names in found.items()} == dict.fromkeys(parts, share)
        assert found == chosen_classes(held, None, 0) != chosen_classes(held, None, 1)
        if "morph" in parts:
            assert not {name[:5] for name in found["morph"]} & set(found["proc"])
    with pytest.raises(UserError, match=r"950 of proc are asked for, which has \d+; \d+ more show objects of morph"):
        chosen_classes({"proc": classes["proc"], "morph": classes["morph"]}, (950, 500), 0)


def test_classes_of_a_mixture_have_as_many_images_each():
    def table(names, each):
        rows = [("train", k, name, f"{i}", 0, "") for i in range(each) for k, name in enumerate(names)]
        return pd.DataFrame(rows, columns=["split", "class_index", "class_name", "instance", "view", "texture"])

    found = mixed({"a": table("xyz", 4), "b": table("uvw", 2)}, (2, 3), 0)
    assert (found.groupby("class_name").size() == 2).all() and len(found) == 10
    assert found["class_index"].tolist() == [0, 1, 2, 3, 4] * 2


@pytest.mark.parametrize("name", ["procsynth", "flatworld", "fractals", "all_three"])
def test_any_set_is_exported_as_folders_of_pictures(study, tmp_path, name):
    from torchvision.datasets import ImageFolder

    params, files = study.set(name)
    count = export_images(params, files, tmp_path / "out")
    images = open_set(params, files, "train")
    folder = ImageFolder(str(tmp_path / "out/train"))
    assert folder.classes == sorted(images.classes) and len(folder) == len(images) <= count
    order = np.argsort([int(Path(path).name.split("-")[0]) for path, _ in folder.samples])
    for place, sample in enumerate(order):
        path, _ = folder.samples[sample]
        assert (np.array(Image.open(path)) == images.all()[place].permute(1, 2, 0).numpy()).all()
        assert Path(path).parent.name == images.rows["class_name"].iloc[place]
    assert json.loads((tmp_path / "out/set.json").read_text())["classes"] == list(images.classes)
    with pytest.raises(UserError, match="not an empty folder"):
        export_images(params, files, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sets": {"all_three": {"parts": ["procsynth", "none"]}}}, "sets.all_three.parts"),
        ({"sets": {"all_three": {"parts": ["procsynth", "proc_morphs"]}}}, "is a mixture itself"),
        ({"sets": {"all_three": {"classes": [2]}}}, "give one each"),
        ({"families": {"geons": {"shard_classes": 3}}}, "shard_classes: has no meaning for kind geons"),
    ],
)
def test_entries_that_cannot_be_are_named(change, says):
    with pytest.raises(UserError, match=says):
        load_study(merge(merge(merge(at_test_scale(), PRINTED), SMALL), change))
