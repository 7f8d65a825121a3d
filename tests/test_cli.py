import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from image_files import save
from safetensors.torch import save_file
from torchvision.models import resnet18

from robust3d import command_line
from robust3d.models.normalisation import STATISTICS, Normalisation
from robust3d.study.numerics import THREADS

ROOT = Path(__file__).parents[1]


def robust3d(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "robust3d.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_file(resnet18(num_classes=5).state_dict(), path)
    return path


def images(path: Path, labels: np.ndarray) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 16, 16, 3), dtype=np.uint8)
    np.savez(path, images=pixels, labels=labels)
    return path


def test_the_normalisations_are_those_of_the_models():
    assert get_args(Normalisation) == command_line.NORMALISATIONS == tuple(STATISTICS)


def test_evaluate_reports_and_writes_outcomes(checkpoint, tmp_path):
    # An untrained network gives one answer to all noise; four of five labels are wrong, one image is attacked.
    file = images(tmp_path / "test.npz", np.array([0, 1, 2, 3, 4]))
    told = robust3d(
        "evaluate", checkpoint, "--images", file, "--epsilon", "128/255", "--outcomes", tmp_path / "o.parquet"
    )
    assert told.returncode == 0, told.stderr
    assert "5 images, 5 classes" in told.stdout and "Linf 128/255" in told.stdout
    outcomes = pd.read_parquet(tmp_path / "o.parquet")
    assert len(outcomes) == 5 and f"{100 * outcomes['correct'].mean():6.2f} %" in told.stdout


def test_evaluate_takes_a_folder_of_pictures(checkpoint, tmp_path):
    """The test images of the folder are the images of the archive, in the order of their labels."""
    file = images(tmp_path / "test.npz", np.arange(5))
    for label, pixels in enumerate(np.load(file)["images"]):
        for split in ("train", "test"):
            save(tmp_path / f"pictures/{split}/class{label}/{split}.png", pixels if split == "test" else 255 - pixels)
    told = {}
    for name, more in (("test.npz", []), ("pictures", ["--resolution", "16"])):
        outcomes = tmp_path / f"{name}.parquet"
        given = ["--images", tmp_path / name, *more, "--epsilon", "1/255", "--outcomes", outcomes]
        told[name] = robust3d("evaluate", checkpoint, *given)
        assert told[name].returncode in (0, 1), told[name].stderr
    assert "places in the sorted names of the folders; pictures of test/" in told["pictures"].stdout
    found = pd.read_parquet(tmp_path / "pictures.parquet")
    assert found.pop("file").tolist() == [f"test/class{label}/test.png" for label in range(5)]
    assert found.equals(pd.read_parquet(tmp_path / "test.npz.parquet"))
    for name, more, says in (
        ("pictures", [], "say by --resolution"),
        ("pictures", ["--resolution", "3"], "resolution_px"),
        ("test.npz", ["--resolution", "16"], "belongs to a folder"),
    ):
        refused = robust3d("evaluate", checkpoint, "--images", tmp_path / name, *more)
        assert refused.returncode == 2 and says in refused.stderr and "Traceback" not in refused.stderr


class Hostile:
    def __reduce__(self):
        return os.system, ("touch /tmp/robust3d-was-here",)


@pytest.mark.parametrize(
    "case", ["missing", "text", "truncated", "hostile", "not a classifier", "labels", "shape", "epsilon"]
)
def test_evaluate_refuses_bad_input_in_one_line(case, checkpoint, tmp_path):
    model, file, epsilon = checkpoint, images(tmp_path / "test.npz", np.array([0, 1])), "8/255"
    if case == "missing":
        model = tmp_path / "none.safetensors"
    elif case == "text":
        model = tmp_path / "text.safetensors"
        model.write_text("not a model")
    elif case == "truncated":
        model = tmp_path / "cut.safetensors"
        model.write_bytes(checkpoint.read_bytes()[:1000])
    elif case == "hostile":
        model = tmp_path / "hostile.pth"
        model.write_bytes(pickle.dumps(Hostile()))
    elif case == "not a classifier":
        model = tmp_path / "other.safetensors"
        save_file({"weight": torch.zeros(3)}, model)
    elif case == "labels":
        file = images(tmp_path / "labels.npz", np.array([0, 7]))
    elif case == "shape":
        file = tmp_path / "shape.npz"
        np.savez(file, images=np.zeros((2, 8, 8), np.uint8), labels=np.zeros(2, int))
    else:
        epsilon = "-1"
    told = robust3d("evaluate", model, "--images", file, "--epsilon=" + epsilon)
    assert told.returncode == 2, told.stdout + told.stderr
    assert told.stderr.startswith("robust3d: ") and "Traceback" not in told.stderr
    culprit = {"labels": "labels.npz", "shape": "shape.npz", "epsilon": "--epsilon"}.get(case, model.name)
    assert culprit in told.stderr
    assert not Path("/tmp/robust3d-was-here").exists()


def test_check_says_that_the_default_study_is_sound():
    told = robust3d("check", "workflow/scales/test.yaml")
    assert told.returncode == 0 and "study 'test'" in told.stdout


def test_a_scale_is_chosen_by_its_name():
    told = robust3d("check", "--scale", "test")
    assert told.returncode == 0 and "study 'test'" in told.stdout
    for command in (("check",), ("plan",), ("verify",), ("accept", "pretrain", "--reason", "x"), ("gc",)):
        told = robust3d(*command, "--scale", "tset")
        assert told.returncode == 2 and told.stderr.count("\n") == 1, told.stderr
        assert told.stderr.startswith("robust3d: scale: there is no 'tset'; workflow/scales has gpu, paper, test")


@pytest.mark.parametrize("command", ["export-views", "check-views", "site", "evaluate"])
def test_only_a_lone_attack_computes_on_more_than_one_thread(command, tmp_path):
    arguments = {"export-views": ["geons", "--format", "dvr", "--out", "x"], "check-views": ["x"], "site": []}
    words = [command, *arguments.get(command, ["x", "--images", "y"])]
    code = (
        "import os, sys; from robust3d import cli;"
        f"cli.COMMANDS[{command.replace('-', '_')!r}] = "
        "lambda a: print(__import__('torch').get_num_threads(), os.environ);"
        f"sys.argv = {['robust3d', *words]!r}; cli.main()"
    )
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    if command != "evaluate":
        assert told.stdout.startswith("1 ")
    else:
        bare = [sys.executable, "-c", "import torch; print(torch.get_num_threads())"]
        all_cores = subprocess.run(bare, env=environment, capture_output=True, text=True, check=True).stdout.strip()
        assert told.stdout.startswith(f"{all_cores} ") and "PASSIVE" in told.stdout
        mine = subprocess.run(
            [sys.executable, "-c", code], env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
        )
        assert mine.stdout.startswith("1 ")


def test_export_views_says_how_snakemake_makes_them(tmp_path):
    overlay = tmp_path / "my overlay.yaml"
    overlay.write_text("seed: 9\n")
    arguments = ("--format", "dvr", "--out", tmp_path / "out", "--scale", "test", "--configfile", overlay)
    told = robust3d("export-views", "geons", *arguments)
    assert told.returncode == 2 and told.stderr.endswith(f"--config scale=test --configfile '{overlay}'\n")


@pytest.mark.parametrize("target", [[], ["results/table4.csv"]])
def test_make_hands_the_scale_on(target):
    # Under `make test` an outer make would add its own lines.
    make = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "-n", "-o", ".venv/.ready", *target]
    plain = subprocess.run(make, capture_output=True, text=True, cwd=ROOT)
    scaled = subprocess.run([*make, "SCALE=gpu"], capture_output=True, text=True, cwd=ROOT)
    assert plain.stdout.split() == ["snakemake", *target]
    assert scaled.stdout.split() == ["snakemake", *target, "--config", '"scale=gpu"']
    wrong = subprocess.run([*make, "scale=gpu"], capture_output=True, text=True, cwd=ROOT)
    assert wrong.returncode != 0 and "SCALE=gpu" in wrong.stderr and not wrong.stdout


def test_snakemake_refuses_a_wrong_key_before_anything_runs():
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    told = subprocess.run([snakemake, "-n", "--config", "sede=3"], capture_output=True, text=True, cwd=ROOT)
    assert told.returncode != 0
    assert "sede: unknown key" in told.stdout + told.stderr and "Traceback" not in told.stdout + told.stderr


def test_a_missing_python_is_named(tmp_path):
    environment = os.environ | {"PYTHON": "python-that-is-not-there"}
    told = subprocess.run(
        ["sh", "envs/setup.sh", tmp_path / "venv"], env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert told.returncode == 1 and "Python 3.11" in told.stderr and not (tmp_path / "venv").exists()


def test_signs_that_a_terminal_lacks_are_written_out():
    code = "from robust3d import cli; cli.COMMANDS['doctor'] = lambda _: print('\u03b5 \xe9 \\udce9'); cli.main()"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", code, "doctor"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert told.stdout == r"\u03b5 \xe9 \udce9" + "\n", told.stderr


INTERRUPTED = """
import time
from robust3d import cli
from robust3d.provenance.site import build

def task():
    print("at work", flush=True)
    time.sleep(0.3)

cli.COMMANDS["site"] = lambda arguments: build._side_by_side([task] * 40)
cli.main()
"""


def test_ctrl_c_while_the_site_is_built_is_one_line():
    """It reaches the processes that write pages too."""
    command = [sys.executable, "-c", INTERRUPTED, "site"]
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, cwd=ROOT, **told) as process:
        assert process.stdout is not None and process.stdout.readline() == "at work\n"
        os.killpg(process.pid, signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130 and complaint == "robust3d: interrupted\n"


def test_a_tilde_that_the_shell_leaves(monkeypatch):
    monkeypatch.setenv("HOME", "/home/x")
    given = command_line.parser(None).parse_args(["evaluate", "~/a.pt", "--images=~/b.npz"])
    assert (given.checkpoint, given.images) == (Path("/home/x/a.pt"), Path("/home/x/b.npz"))


def test_the_auditors_commands_load_nothing_heavy():
    """They start fast: modules of plan, why, verify, diff, export, site, gc and accept."""
    names = ("plan", "why", "verify", "diff", "crate", "site", "site.build", "collect", "accept")
    imports = ";".join(f"import robust3d.provenance.{name}" for name in names)
    heavy = ("torch", "bpy", "snakemake", "lightning_fabric", "scipy", "matplotlib")
    code = f"import sys, robust3d.cli;{imports};print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
