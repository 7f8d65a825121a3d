"""Early cutoff: what counts as the same job, and that nothing but whole files is copied."""

import json
from pathlib import Path

import pytest

from robust3d.files import sha256
from robust3d.provenance import store

SPEC = {
    "stage": "train",
    "modules": ["m"],
    "params": {"rate": 0.1, "steps": 3},
    "code": "c",
    "packages": {"torch": "2"},
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def file(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def finished(job: str, key: str, text: str = "weights") -> Path:
    """A finished job in results/."""
    output = file(f"results/train/{job}/model.bin", text)
    told = {"path": str(output), "sha256": sha256(output), "bytes": len(text)}
    record = {"job": job, "spec": SPEC, "outputs": {"model": told}}
    path = file(f"results/train/{job}/record.json", json.dumps(record))
    store.remember(store.RESULTS, key, path)
    return output


def manifest(path: str, digest: str, size: int = 3) -> Path:
    content = {"shards": [{"path": path, "sha256": digest, "bytes": size}], "path": "of something else"}
    return file("manifest.json", json.dumps(content))


def key(inputs: dict[str, list[Path]], **changes: object) -> str:
    return store.key_of(SPEC | changes, inputs)


def test_the_key_covers_spec_and_content_but_no_place(here):
    views, other = file("a/set.bin", "x"), file("b/set.bin", "y")
    plain = key({"set": [views]})
    assert plain == key({"set": [file("c/set.bin", "x")], "textures": []})
    assert plain != key({"set": [other]})
    assert plain != key({"sets": [views]})
    assert len({key({"set": pair}) for pair in ([views, other], [other, views])}) == 2
    for changes in ({"params": {"rate": 3, "steps": 0.1}}, {"code": "d"}, {"packages": {"torch": "3"}}, {"stage": "e"}):
        assert plain != key({"set": [views]}, **changes)


def test_the_key_reads_a_manifest_without_the_places_of_its_files():
    plain = key({"views": [manifest("here", "aa")]})
    assert plain == key({"views": [manifest("there", "aa")]})
    assert plain != key({"views": [manifest("here", "bb")]})
    assert plain != key({"views": [manifest("here", "aa", 4)]})


def test_a_finished_job_is_found_and_copied(here):
    finished("first-0", "k")
    (found,) = store.lookup("k", [store.RESULTS])
    target = Path("results/train/second-0/model.bin")
    target.parent.mkdir()
    assert store.copy(found, {"model": target}) and target.read_text() == "weights"
    assert list(store.lookup("another", [store.RESULTS])) == []


def test_a_damaged_or_lost_file_is_not_copied_and_it_is_said(here, capsys):
    output = finished("first-0", "k")
    (found,) = store.lookup("k", [store.RESULTS])
    target = file("results/train/second-0/other.bin", "").with_name("model.bin")
    output.write_text("weighTs")
    assert not store.copy(found, {"model": target})
    assert "computed again, not copied" in capsys.readouterr().err
    output.unlink()
    assert not store.copy(found, {"model": target})
    assert not target.exists() and not list(Path("results").rglob(".partial*"))


def test_all_jobs_of_a_key_are_known_until_they_are_gone(here):
    first = finished("first-0", "k")
    finished("second-0", "k")
    finished("second-0", "k")
    assert [found.record["job"] for found in store.lookup("k", [store.RESULTS])] == ["first-0", "second-0"]
    first.with_name("record.json").unlink()
    assert [found.record["job"] for found in store.lookup("k", [store.RESULTS])] == ["second-0"]
    store.forget(store.RESULTS)
    assert (store.RESULTS / store.KNOWN / "k").read_text() == "results/train/second-0/record.json\n"
    (store.RESULTS / "train/second-0/record.json").unlink()
    store.forget(store.RESULTS)
    assert not (store.RESULTS / store.KNOWN / "k").exists()


def test_a_store_holds_whole_copies_that_survive_the_original(here):
    output = finished("first-0", "k")
    (found,) = store.lookup("k", [store.RESULTS])
    shared = Path("shared place")
    store.share(shared, "k", found.record, Path("results/train/first-0/record.json"))
    output.unlink()
    (copy,) = store.lookup("k", [shared])
    assert copy.is_whole("model") and copy.output("model").read_text() == "weights"
    copy.output("model").write_text("bad")
    output.write_text("weights")
    store.share(shared, "k", found.record, Path("results/train/first-0/record.json"))  # mends what is damaged
    assert copy.is_whole("model")


def test_a_store_mends_one_damaged_file_of_several(here):
    output = finished("first-0", "k")
    (found,) = store.lookup("k", [store.RESULTS])
    second = file("results/train/first-0/info.json", "{}")
    found.record["outputs"]["info"] = {"path": str(second), "sha256": sha256(second), "bytes": 2}
    output.with_name("record.json").write_text(json.dumps(found.record))
    shared, place = Path("shared"), Path("results/train/first-0/record.json")
    store.share(shared, "k", found.record, place)
    (copy,) = store.lookup("k", [shared])
    copy.output("info").write_text("bad")
    store.share(shared, "k", found.record, place)
    assert copy.is_whole("model") and copy.is_whole("info")


def test_alike_are_other_jobs_of_the_same_code_and_packages_whose_names_differ_in_numbers(here):
    finished("cone-000-0123456789ab", "k")
    finished("cone-007-ba9876543210", "k")
    finished("cube-000-0123456789ab", "k")
    found = store.alike("train", "cone-001-ffffffffffff", SPEC, [store.RESULTS])
    assert sorted(entry.record["job"] for entry in found) == ["cone-000-0123456789ab", "cone-007-ba9876543210"]
    for changes in ({"code": "d"}, {"packages": {}}):
        assert not list(store.alike("train", "cone-001-ffffffffffff", SPEC | changes, [store.RESULTS]))
