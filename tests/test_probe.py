"""`robust3d probe`: a probe on a file of a user's own and on published weights."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from robust3d import cli
from robust3d.architectures import architecture

STIMULI = Path(__file__).parents[2] / "shared" / "data" / "cue_conflict"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    torch.manual_seed(0)
    save_file(architecture("resnet18").network(1000).state_dict(), path)
    return path


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "stimuli"
    for number, name in enumerate(("cat/cat1-bear2", "cat/cat3-cat2", "dog/dog1-car3")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (80 * number, 90, 200)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def robust3d(monkeypatch, capsys):
    """Runs a command in this process; returns the exit code and what it said."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["robust3d", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as error:
            code = error.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_probe_prints_its_numbers_and_writes_a_folder(model, pictures, robust3d, tmp_path):
    given = ["probe", model, "--architecture", "resnet18", "--probe", "cue_conflict", "--images", pictures]
    code, out, err = robust3d(*given, "--resolution", 32, "--params", "batch_size=2", "--out", tmp_path / "out")
    assert (code, err) == (0, "") and "answers=imagenet16" in out and "batch_size=2" in out
    assert "shorter side to 32 px" in out
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["params"]["answers"] == "imagenet16" and found["metrics"]["same_cue"]["images"] == 1
    assert found["images"]["preparation"]["resize_px"] == 32 and found["classifier"]["architecture"] == "resnet18"
    outcomes = pd.read_parquet(tmp_path / "out" / "outcomes.parquet")
    assert outcomes[["shape", "texture"]].values.tolist() == [["cat", "bear"], ["dog", "car"]]
    assert outcomes["file"].tolist() == ["cat/cat1-bear2.png", "dog/dog1-car3.png"]
    code, _, err = robust3d(*given, "--resolution", 32, "--out", tmp_path / "out")
    assert code == 2 and "is there already" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "stimuli"]  # nothing half-written is left


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--probe": "cue"}, "there is no probe called 'cue'"),
        ({"--probe": "shift"}, "it reads the sets set, shifted, and this command gives one"),
        ({"--architecture": "alexnet"}, "--architecture names another"),
        ({"--params": "batch=3"}, r"batch: unknown key \(cue_conflict has answers, aggregation, batch_size"),
        ({"--params": "batch_size"}, "expected KEY=VALUE"),
        ({"--params": "answers=class"}, "no column 'shape'"),
        ({"--probe": "ablation", "--params": "layers=[layer9]"}, "resnet18 has no layer 'layer9'"),
        ({"--images": "nowhere"}, "--images nowhere: no such file or folder"),
        ({"--images": "empty"}, "no picture in it|no folder of a class"),
        ({"--out": "no/such/folder"}, "--out no/such/folder"),
    ],
)
def test_bad_input_is_one_message(change, says, model, pictures, robust3d, monkeypatch, tmp_path):
    import re

    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    given = {"--architecture": "resnet18", "--probe": "cue_conflict", "--images": pictures, "--resolution": 32}
    words = [word for option in (given | change).items() for word in option]
    code, _, err = robust3d("probe", model, *words)
    assert code == 2 and re.search(says, err) and err.count("\n") == 1, err


def test_pictures_without_the_naming_scheme_are_named_together(model, pictures, robust3d):
    for name in ("cat/kitten.png", "dog/dog4.png"):
        Image.new("RGB", (40, 40)).save(pictures / name)
    given = ["--architecture", "resnet18", "--probe", "cue_conflict", "--images", pictures, "--resolution", 32]
    code, _, err = robust3d("probe", model, *given)
    assert code == 2 and "kitten.png" in err and "2 of 5 pictures are named otherwise, also dog/dog4.png" in err


def test_a_model_of_another_number_of_classes_is_refused(pictures, robust3d, tmp_path):
    save_file(architecture("resnet18").network(4).state_dict(), tmp_path / "four.safetensors")
    given = ["--architecture", "resnet18", "--probe", "cue_conflict", "--images", pictures, "--resolution", 32]
    code, _, err = robust3d("probe", tmp_path / "four.safetensors", *given, "--params", "answers=imagenet16")
    assert code == 2 and "this classifier has 4" in err


@pytest.mark.slow
@pytest.mark.skipif(not STIMULI.is_dir(), reason="the stimuli are not beside the project")
def test_lite0_decides_as_measured_elsewhere(robust3d, tmp_path):
    """36 shape, 129 texture, 75 neither of 240, through the command."""
    asked = ["probe", "efficientnet_lite0", "--probe", "cue_conflict", "--resolution", 224]
    folder = STIMULI / "style-transfer-preprocessed-512"
    assert robust3d(*asked, "--images", folder, "--out", tmp_path / "out")[0] == 0
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    assert [found[name] for name in ("shape", "texture", "neither")] == [36, 129, 75]


@pytest.mark.slow
@pytest.mark.skipif(not STIMULI.is_dir(), reason="the stimuli are not beside the project")
@pytest.mark.parametrize(("part", "right"), [("filled-silhouettes", 81), ("edges", 57)])
def test_lite0_names_silhouettes_and_edges_as_measured_elsewhere(robust3d, tmp_path, part, right):
    asked = ["probe", "efficientnet_lite0", "--probe", "imagenet16", "--resolution", 224]
    assert robust3d(*asked, "--images", STIMULI / part, "--out", tmp_path / "out")[0] == 0
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    assert (found["correct"], found["images"]) == (right, 160)


def test_pictures_of_one_class_are_answered_with_the_sixteen(robust3d, tmp_path):
    """The network always says a tabby, which is a cat: right on the cats alone."""
    network = architecture("resnet18").network(1000)
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.copy_(20.0 * torch.nn.functional.one_hot(torch.tensor(281), 1000))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    for number, name in enumerate(("cat/a.png", "cat/b.png", "truck/c.png")):
        place = tmp_path / "pictures" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (80 * number, 90, 200)).save(place)
    given = ["probe", tmp_path / "model.safetensors", "--architecture", "resnet18", "--probe", "imagenet16"]
    given += ["--images", tmp_path / "pictures", "--resolution", 32]
    code, said, _ = robust3d(*given, "--out", tmp_path / "out")
    assert code == 0 and "0.6667" in said
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    assert found["by_class"] == {"cat": {"correct": 2, "images": 2}, "truck": {"correct": 0, "images": 1}}
    (tmp_path / "pictures" / "truck").rename(tmp_path / "pictures" / "lorry")
    code, _, err = robust3d(*given)
    assert code == 2 and "'lorry' is the class of a picture" in err


def test_probes_of_one_set_run_on_pictures_and_the_others_say_what_they_need(robust3d, tmp_path):
    """The network answers the second class always: the one picture of a cat is right."""
    network = architecture("resnet18").network(2)
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.tensor([0.0, 1.0]))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    told = {"classes": ["dog", "cat"], "normalisation": "half", "architecture": {"name": "resnet18", "params": {}}}
    (tmp_path / "model.json").write_text(json.dumps(told))
    for name, count in (("cat", 1), ("dog", 2)):
        for number in range(count):
            (tmp_path / "pictures" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (80 * number, 90, 200)).save(tmp_path / "pictures" / name / f"{number}.png")
    given = ["probe", tmp_path / "model.safetensors", "--images", tmp_path / "pictures", "--resolution", 32]
    code, _, err = robust3d(*given, "--probe", "robustness", "--out", tmp_path / "a")
    assert code == 0, err
    found = json.loads((tmp_path / "a" / "metrics.json").read_text())["metrics"]["sets"]["set"]
    assert (found["correct"], found["images"], found["answers"]) == (1, 3, 2)
    few = ("--params", "epsilons=[0.001]", "norm=Linf", "iterations=1", "square_queries=1")
    code, out, err = robust3d(*given, "--probe", "autoattack", *few)
    assert code == 0 and "clean_accuracy" in out, err
    code, _, err = robust3d(*given, "--probe", "depth")
    assert code == 2 and "--probe depth: it fits something to training images, and this command gives none" in err


def test_folders_are_the_classes_of_a_model_made_here_by_name(pictures, robust3d, tmp_path):
    """The model's classes are not in alphabetical order, and it always answers with the first."""
    network = architecture("resnet18").network(2)
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.tensor([1.0, 0.0]))
    path = tmp_path / "model.safetensors"
    save_file(network.state_dict(), path)
    told = {"classes": ["dog", "cat"], "normalisation": "half", "architecture": {"name": "resnet18", "params": {}}}
    path.with_suffix(".json").write_text(json.dumps(told))
    given = ["probe", path, "--probe", "accuracy", "--images", pictures, "--resolution", 32]
    code, out, err = robust3d(*given)
    assert code == 0 and "normalisation          half" in out and "set correct" in out, err
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("set correct")] == ["1"]
    (pictures / "dog").rename(pictures / "wolf")
    code, _, err = robust3d(*given)
    assert code == 2 and "'wolf' is no class of the classifier (dog, cat)" in err
