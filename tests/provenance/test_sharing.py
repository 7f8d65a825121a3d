"""A store that two people share, and stores that are of no use: a help, never a danger. Real jobs, real users."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from configuration import at_test_scale
from safetensors.numpy import save_file

from robust3d.files import sha256
from robust3d.provenance import runner, store
from robust3d.provenance.store import Finished
from robust3d.study.jobs import Job
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study

ROOT = Path(__file__).parents[2]
ANN, BEN, LAB = 61001, 61002, 61003  # two users and a group of theirs
OUTPUTS = ("shapes", "manifest", "record")


@pytest.fixture(scope="module")
def plan() -> Plan:
    here = Path.cwd()
    os.chdir(ROOT)  # where the lock is
    values = at_test_scale()
    plan = Plan(load_study(values))
    for name in ("cone", "cuboid", "horn"):
        _ = plan.build_shapes("geons", name).spec
    os.chdir(here)
    return plan


def arguments(job: Job, place: Path | None) -> list[str]:
    command = ["run", "--job", job.id, "--spec", job.spec]
    command += ["--store", str(place)] if place else []
    return command + [part for name in OUTPUTS for part in ("--output", name, job.output(name))]


@dataclass
class Users:
    """Runs of `robust3d` by several users, in folders of their own that all may look into."""

    base: Path
    plan: Plan
    process: subprocess.Popen

    def project(self, name: str, user: int = 0) -> Path:
        folder = self.base / name
        if not folder.exists():
            folder.mkdir()
            (folder / "envs").symlink_to(ROOT / "envs")
            os.chown(folder, user, user)
        return folder

    def store(self, name: str, mode: int, user: int, group: int) -> Path:
        folder = self.base / name
        folder.mkdir()
        os.chown(folder, user, group)
        folder.chmod(mode)
        return folder

    def told(self, project: str, user: int, name: str, place: Path | None, umask: int = 0o022) -> dict:
        command = arguments(self.plan.build_shapes("geons", name), place)
        folder = str(self.project(project, user))
        return {"folder": folder, "uid": user, "groups": [LAB], "umask": umask, "arguments": command}

    def run(self, *runs: dict) -> list[str]:
        """What each run said; all must end well."""
        ends = []
        for run in runs:
            self.process.stdin.write(json.dumps(run) + "\n")
            self.process.stdin.flush()
            ends.append(json.loads(self.process.stdout.readline()))
        if any(end["code"] == 111 for end in ends):
            pytest.skip("other users cannot read this checkout")
        assert all(end["code"] == 0 for end in ends), ends
        for run in runs:
            assert not list(Path(run["folder"]).rglob(".partial*"))
        return [end["error"] for end in ends]

    def record(self, project: str, name: str) -> dict:
        path = self.base / project / self.plan.build_shapes("geons", name).output("record")
        record = json.loads(path.read_text())
        for output in record["outputs"].values():
            assert sha256(self.base / project / output["path"]) == output["sha256"]
        return record


@pytest.fixture(scope="module")
def process(plan, tmp_path_factory) -> Iterator[subprocess.Popen]:
    """What runs the users' jobs."""
    if os.geteuid() != 0:
        pytest.skip("only root can become other users")
    folder = tmp_path_factory.mktemp("first")
    (folder / "envs").symlink_to(ROOT / "envs")
    command = [sys.executable, str(Path(__file__).with_name("users.py")), str(folder / "log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        first = {"folder": str(folder), "arguments": arguments(plan.build_shapes("geons", "horn"), None)}
        process.stdin.write(json.dumps(first) + "\n")
        yield process
        process.stdin.close()


@pytest.fixture
def users(plan, process) -> Iterator[Users]:
    base = Path(tempfile.mkdtemp(prefix="robust3d-users-", dir="/tmp"))  # pytest's own is closed to others
    base.chmod(0o755)
    yield Users(base, plan, process)
    shutil.rmtree(base)


def mode_of(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_two_users_share_both_ways_and_the_second_computes_nothing(users):
    """... in a folder of their group's and in one open to all, with the umask that keeps others from writing."""
    for number, (mode, group) in enumerate([(0o2775, LAB), (0o770, LAB), (0o777, ANN)]):
        place = users.store(f"store{number}", mode, ANN, group)
        ann, ben = f"ann{number}", f"ben{number}"
        said = users.run(
            users.told(ann, ANN, "cone", place),
            users.told(ben, BEN, "cone", place),
            users.told(ben, BEN, "cuboid", place),
            users.told(ann, ANN, "cuboid", place, umask=0o077),
        )
        assert said == ["", "", "", ""]
        for first, second, name in ((ann, ben, "cone"), (ben, ann, "cuboid")):
            assert users.record(first, name)["reused"] is None
            assert users.record(second, name)["reused"]["from"].startswith(str(place))
            assert users.record(first, name)["outputs"] == users.record(second, name)["outputs"]
        for path in place.rglob("*"):
            assert path.stat().st_gid == group or group == ANN, path  # Ben is not of Ann's own
            assert mode_of(path) == oct(0o755 | mode if path.is_dir() else 0o644), path
        weights = users.base / ann / users.plan.build_shapes("geons", "cuboid").output("shapes")
        assert mode_of(weights) == "0o600" and mode_of(weights.parent) == "0o700"  # as the umask says


def test_a_colleague_s_store_that_only_its_owner_writes(users):
    place = users.store("store", 0o755, ANN, ANN)
    said = users.run(
        users.told("ann", ANN, "cone", place),
        users.told("ben", BEN, "cone", place),
        users.told("ben", BEN, "cuboid", place),
        users.told("ann", ANN, "cuboid", place),
    )
    assert [bool(text) for text in said] == [False, False, True, False]
    assert said[2].count("permission") == 1 and str(place) in said[2] and "Traceback" not in said[2]
    assert users.record("ben", "cone")["reused"] and not users.record("ann", "cuboid")["reused"]


def test_what_a_user_may_not_read_is_named_by_its_cause_and_made_anew(users):
    """A whole file without permission, as earlier versions left weights, and a store closed altogether."""
    place, closed = users.store("store", 0o2775, ANN, LAB), users.store("closed", 0o700, ANN, ANN)
    job = users.plan.build_shapes("geons", "cone")
    users.run(users.told("ann", ANN, "cone", place))
    kept = store.locate(place, job.output("shapes"))
    kept.chmod(0o600)
    said = users.run(users.told("ben", BEN, "cone", place), users.told("ben", BEN, "cuboid", closed))
    assert f"{kept}: cannot be read (permission)" in said[0] and "differs from" not in said[0]
    assert said[1].count("cannot be read (permission)") == 1 and str(closed) in said[1]
    assert not users.record("ben", "cone")["reused"] and not users.record("ben", "cuboid")["reused"]
    # Ben's copy has taken the closed one's place, so the next one finds it.
    assert mode_of(kept) == "0o644" and users.run(users.told("cid", ANN, "cone", place)) == [""]
    assert users.record("cid", "cone")["reused"]


def mounted(folder: Path, options: str) -> Path:
    """A small file system of its own."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    return folder


def test_a_store_of_no_use_does_no_harm(users):
    """Full, read-only, impossible or a file: the job ends well, with one warning that names the cause."""
    full, closed = mounted(users.base / "full", "size=64k"), mounted(users.base / "closed", "size=64k,ro")
    try:
        with pytest.raises(OSError), (full / "filler").open("wb") as filler:
            filler.write(b"x" * (1 << 20))
        (users.base / "file").write_text("a file")
        places = {
            full: "no room",
            closed: "read-only file system",
            Path("/proc/nostore"): "No such file or directory",
            users.base / "file": "a file is in place of a folder",
        }
        runs = [users.told(f"project{number}", 0, "cone", place) for number, place in enumerate(places)]
        for number, (said, (place, cause)) in enumerate(zip(users.run(*runs), places.items(), strict=True)):
            assert users.record(f"project{number}", "cone")["reused"] is None
            lines = [line for line in said.splitlines() if "warning:" in line]
            assert len(lines) == 1 and str(place) in lines[0] and cause in lines[0], said
            assert store.trouble(place) == f"{place} cannot be written ({cause})"
        assert not list(full.rglob(".partial*"))
        gone = users.base / "gone"
        users.run(users.told("before", 0, "cone", gone))
        shutil.rmtree(gone)
        assert users.run(users.told("after", 0, "cone", gone)) == [""]  # made anew, and shared anew
        assert users.record("after", "cone")["reused"] is None and list(gone.rglob("shapes.npz"))
    finally:
        for folder in (full, closed):
            subprocess.run(["umount", folder])


@pytest.fixture
def kept(tmp_path, monkeypatch) -> tuple[dict, Path]:
    """A finished job whose weights nobody else may read; its record and that one's path."""
    monkeypatch.chdir(tmp_path)
    output = Path("results/train/first-0/model.bin")
    output.parent.mkdir(parents=True)
    save_file({}, output)
    output.chmod(0o600)
    told = {"path": str(output), "sha256": sha256(output), "bytes": output.stat().st_size}
    record = {"job": "first-0", "spec": {"stage": "train", "params": {}}, "outputs": {"model": told}}
    path = output.with_name("record.json")
    path.write_text(json.dumps(record))
    return record, path


def test_a_copy_in_a_store_is_as_open_as_the_store(kept, tmp_path):
    record, path = kept
    for number, mode in enumerate((0o755, 0o750, 0o700)):
        place = tmp_path / f"store{number}"
        place.mkdir()
        place.chmod(mode)
        before = os.umask(0o077)
        try:
            store.share(place, "k", record, path)
        finally:
            os.umask(before)
        assert mode_of(place / "train/first-0") == mode_of(place / ".known") == oct(mode)
        for file in ("train/first-0/model.bin", "train/first-0/record.json", ".known/k"):
            assert mode_of(place / file) == oct(0o600 | mode & 0o444)


def test_a_store_that_vanishes_takes_nothing_with_it(kept, tmp_path, capsys):
    record, path = kept
    place = tmp_path / "store"
    store.share(place, "k", record, path)
    (found,) = store.lookup("k", [place])
    context = runner.Context({}, {}, {}, tmp_path, 1)
    borrowed = context.borrow(found, "model")
    shutil.rmtree(place)
    assert borrowed is not None and sha256(borrowed) == record["outputs"]["model"]["sha256"]
    assert context.borrow(found, "model") is None and not found.is_whole("model")
    assert list(store.lookup("k", [place])) == list(store.alike("train", "x-1", record["spec"], [place])) == []
    assert context.borrow(Finished(store.RESULTS, record), "model") == Path(record["outputs"]["model"]["path"])
    place.write_text("now a file")
    store.announce("k", record, path, place)
    assert "a file is in place of a folder" in capsys.readouterr().err
    assert (store.RESULTS / store.KNOWN / "k").read_text() == f"{path}\n"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"job": 1, "spec": [], "outputs": {}}', '{"outputs": {"model": 3}}'])
def test_nonsense_in_a_store_is_passed_over(kept, tmp_path, text):
    record, path = kept
    place = tmp_path / "store"
    store.share(place, "k", record, path)
    store.locate(place, str(path)).write_text(text)
    assert list(store.lookup("k", [place])) == list(store.alike("train", "x-1", record["spec"], [place])) == []
    store.share(place, "k", record, path)
    assert len(list(store.lookup("k", [place]))) == 1


def test_a_record_without_an_output_that_is_asked_for_is_not_copied(kept, capsys):
    record, path = kept
    found = Finished(store.RESULTS, record)
    assert not store.copy(found, {"model": path.with_name("a"), "other": path.with_name("b")})
    assert "names no other" in capsys.readouterr().err and not found.is_whole("other")
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.bin", "record.json"]


def test_a_useful_store_is_no_trouble_and_nothing_is_left_there(tmp_path):
    assert store.trouble(tmp_path / "new" / "store") is None
    assert list((tmp_path / "new" / "store").iterdir()) == []
