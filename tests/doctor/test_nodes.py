import fcntl
import json
import time
from pathlib import Path

import pytest

from robust3d.doctor import node, nodes
from robust3d.doctor.nodes import Look, check_node, judge_gpu, judge_render, judge_sharing
from robust3d.rendering import system
from robust3d.study.cluster import Cluster

CHECKOUT = str(Path(nodes.__file__).parent)
GPU = {
    "torch": "2.11.0",
    "built_for_cuda": "13.0",
    "visible": "0",
    "driver": "590.1",
    "devices": ["H100"],
    "product_is_right": True,
}


def look(**seen) -> Look:
    seen = {"host": "c1", "errors": {}, "token": "x", "checkout": CHECKOUT, "lock_is_free": False, "time": 1005} | seen
    return Look(seen, 1000.0, 1010.0)


def states(findings):
    return [finding.state for finding in findings]


def test_a_node_that_shares_everything():
    assert states(judge_sharing(look(), "x", "a node")) == ["OK", "OK"]


@pytest.mark.parametrize(
    ("seen", "text", "mend"),
    [
        ({"token": "y"}, "c1 does not see this results folder", "share"),
        ({"token": None, "errors": {"token": "FileNotFoundError: gone"}}, "FileNotFoundError: gone", "share"),
        ({"checkout": "/scratch/other"}, "c1 runs the code of /scratch/other", "share"),
        ({"lock_is_free": True}, "a lock held on the head is free on c1", "local_lock"),
    ],
)
def test_a_node_that_sees_other_files(seen, text, mend):
    files, _ = judge_sharing(look(**seen), "x", "a node")
    assert files.state == "PROBLEM" and text in files.text and mend in files.mend


@pytest.mark.parametrize(("at", "off"), [(1005, None), (994, 6), (1016, 6), (1014, None), (4610, 3600)])
def test_clock(at, off):
    _, clock = judge_sharing(look(time=at), "x", "a node")
    assert clock.state == ("OK" if off is None else "WARNING")
    assert off is None or f"at least {off} s off" in clock.text


def test_a_missing_library_is_named_with_its_package(monkeypatch):
    monkeypatch.setitem(system.LIBRARIES, "libnothere.so.7", "libnothere7")
    missing = node.missing_libraries()
    assert missing == ["libnothere7"]
    (found,) = judge_render({"host": "c1", "errors": {}, "missing": missing}, "a node")
    assert found.state == "PROBLEM" and "c1 lacks libnothere7" in found.text
    assert "apt-get install libnothere7" in found.mend and "envs/robust3d.yaml" in found.mend


@pytest.mark.parametrize("frame", [{"pixels": 0, "mean_rgb": [0, 0, 0]}, {"pixels": 9, "mean_rgb": [90, 90, 90]}])
def test_a_wrong_frame_is_no_frame(frame):
    (found,) = judge_render({"host": "c1", "errors": {}, "missing": [], "render": frame | {"seconds": 1}}, "a node")
    assert found.state == "PROBLEM" and found.mend


@pytest.mark.parametrize(
    ("gpu", "state", "text"),
    [
        ({}, "OK", "driver 590.1, H100"),
        ({"devices": []}, "PROBLEM", "torch sees no GPU (torch 2.11.0, driver 590.1, built for CUDA 13.0"),
        ({"devices": [], "built_for_cuda": None}, "PROBLEM", "built without CUDA"),
        ({"devices": ["H100"] * 8}, "WARNING", "asks for 1 GPU sees 8 (CUDA_VISIBLE_DEVICES=0)"),
        ({"product_is_right": False}, "PROBLEM", "H100 (torch 2.11.0, driver 590.1): a small matrix product is wrong"),
    ],
)
def test_what_torch_sees(gpu, state, text):
    (found,) = judge_gpu({"host": "g1", "errors": {}, "gpu": GPU | gpu}, "a node", 1)
    assert found.state == state and text in found.text and (state == "OK" or found.mend)


def test_a_laptop_needs_no_gpu():
    (found,) = judge_gpu({"host": "l", "errors": {}, "gpu": GPU | {"devices": [], "driver": None}}, "here", None)
    assert found.state == "OK" and "processor" in found.text


def answer(fake, **seen):
    """An srun that reads the token as a node would, and says the rest as told."""
    rest = json.dumps(look(time=time.time(), **seen).seen)
    fake.script(
        "srun",
        f"""echo "$@" > {fake.folder}/asked
for last; do [ "$before" = --token ] && token=$(/bin/cat "$last"); before=$last; done
echo "a banner of the site"
echo '{node.MARK}{rest}' | /bin/sed "s/\\"token\\": \\"x\\"/\\"token\\": \\"$token\\"/" """,
    )


def test_a_node_is_asked_as_the_jobs_will_be(fake, tmp_path):
    answer(fake, missing=[], render={"pixels": 9, "mean_rgb": [200, 30, 30], "seconds": 1.5})
    cluster = Cluster(partition="cpu", account="lab", constraint="skylake")
    found = list(check_node(cluster, False, tmp_path / "results", 7))
    assert states(found) == ["OK", "OK", "OK"], found
    asked = (fake.folder / "asked").read_text()
    assert "--immediate=7" in asked and "--partition=cpu --account=lab --constraint=skylake" in asked
    answer(fake, gpu=GPU)
    cluster = Cluster(partition="cpu", gpu_partition="gpu", gpu_model="h100")
    assert states(check_node(cluster, True, tmp_path / "results", 7)) == ["OK", "OK", "OK"]
    asked = (fake.folder / "asked").read_text()
    assert "--partition=gpu" in asked and "--gpus=h100:1" in asked and "--gpu\n" in asked
    assert not list((tmp_path / "results").iterdir())  # the token is gone


def test_a_full_queue_is_not_a_problem_and_says_how_to_go_on(fake, tmp_path):
    fake.fails("srun", "srun: error: Unable to allocate resources: Requested nodes are busy")
    (found,) = check_node(Cluster(), False, tmp_path, 5)
    assert found.state == "NOT CHECKED" and "within 5 s" in found.text and "robust3d doctor --wait 3600" in found.mend


def test_a_silent_node_is_given_up_and_its_job_cancelled(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(nodes, "RUN_S", 0.3)
    fake.script("srun", "exec /bin/sleep 30")
    fake.script("scancel", f'echo "$@" > {fake.folder}/cancelled')
    (found,) = check_node(Cluster(), True, tmp_path, 0)
    assert found.state == "NOT CHECKED" and "no answer" in found.text
    assert "--name=robust3d-doctor-" in (fake.folder / "cancelled").read_text()


def test_a_node_without_the_project(fake, tmp_path):
    fake.fails("srun", "slurmstepd: error: execve(): /home/me/.venv/bin/python: No such file or directory")
    (found,) = check_node(Cluster(), False, tmp_path, 5)
    assert found.state == "PROBLEM" and "No such file or directory" in found.text and "all nodes share" in found.mend


def test_the_head_holds_its_lock_while_the_node_looks(tmp_path):
    with nodes.token(tmp_path) as (path, secret):
        assert path.read_text() == secret and not node.lock_is_free(path)
        with path.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.slow
def test_a_real_frame_through_srun(fake, tmp_path):
    fake.script("srun", 'while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"')
    found = list(check_node(Cluster(), False, tmp_path, 5))
    assert states(found) == ["OK", "OK", "OK"], found
    assert "rendered a frame" in found[-1].text
