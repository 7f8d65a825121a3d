"""What YAML reads as something else than what stands there is refused, with the full key path."""

from pathlib import Path

import pytest
import yaml

from robust3d.errors import UserError
from robust3d.study.cluster import read_cluster
from robust3d.study.like import merge
from robust3d.study.reading import read_study, read_yaml
from robust3d.study.yaml_text import parse_yaml

ROOT = Path(__file__).parents[2]
CASES = ROOT.parent / "shared" / "cases" / "data" / "configs"


def refusal(text):
    with pytest.raises(UserError) as caught:
        parse_yaml(text, "a.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    "text, told",
    [
        ("a: {b: ['x', 03001627]}", "  a.b.1: put it in quotes; YAML reads 03001627 as an octal number"),
        ("seed: 010", "  seed: put it in quotes; YAML reads 010 as an octal number (where a number is meant"),
        ("a: [-07_1]", "  a.0: put it in quotes; YAML reads -07_1 as an octal number"),
        ("a: [1:30]", "  a.0: put it in quotes; YAML reads 1:30 as minutes and seconds"),
        ("a: 190:20:30.15", "  a: put it in quotes; YAML reads 190:20:30.15 as minutes and seconds"),
        ("study: 2020-01-01", "  study: put it in quotes; YAML reads 2020-01-01 as a date"),
        ("a: !!binary aGVsbG8=", "  a: put it in quotes; YAML reads aGVsbG8= as bytes"),
        ("a: {on: 1}", "  a: put the key on in quotes"),
        ("03001627: 1", "  top level: put the key 03001627 in quotes"),
        ("{a: 1, b: 2, a: 3}", "not readable as YAML: the key 'a' occurs twice"),
        ("a: {b: !!set {x}}", "  a.b: put it in quotes; YAML reads {'x'} as a set"),
        ("seed: " + "9" * 5000, "  seed: put it in quotes; YAML reads 9999"),
        ("a: !!int x", "  a: put it in quotes; YAML reads x as a number"),
        ("{<<: {a: 1, a: 2}}", "not readable as YAML: the key 'a' occurs twice"),
        ("<<: {a: 1}\n<<: {a: 2}", "not readable as YAML: the key '<<' occurs twice"),
        ('a: !!bool "x"', "not readable as YAML"),
        ('a: !!int ""', "not readable as YAML"),
        ("a: !!timestamp [1]", "not readable as YAML"),
        ("a: !!int [1]", "not readable as YAML"),
        ("a: !!float {b: 1}", "not readable as YAML"),
        ("a: !!python/name:os.system x", "not readable as YAML"),
        ("[1]", "a configuration is a mapping"),
    ],
)
def test_what_is_misread_is_refused(text, told):
    message = refusal(text)
    assert message.startswith("a.yaml") and told in message and "787351" not in message


def test_all_mistakes_are_told_at_once():
    lines = refusal("a: {b: [1, 012, x], on: 1}\nc: 2020-01-01").split("\n")
    assert [line.strip().partition(" ")[0] for line in lines[1:]] == ["a:", "a.b.1:", "c:"]


def test_a_merged_mapping_that_merges_another_is_not_two_of_a_key():
    assert parse_yaml("a: &a {x: 1}\nb: &b {<<: *a, x: 2}\n<<: *b", "a.yaml") == {"a": {"x": 1}, "b": {"x": 2}, "x": 2}


def test_the_rest_means_what_yaml_says():
    text = (ROOT / "config.yaml").read_text()
    assert parse_yaml(text, "config.yaml") == yaml.safe_load(text)
    text = "{a: 0, b: -1, c: 1.5e3, d: 1e3, e: 0x1F, f: yes, g: ~, h: '012', i: 09, j: 1_000, k: &x {l: 1, n: 3}, "
    text += "m: {<<: *x, l: 2}}"
    assert parse_yaml(text, "a") == yaml.safe_load(text)


def test_marks_and_other_encodings(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: 3\r\n")
    assert read_yaml(path) == {"seed": 3}
    path.write_bytes("study: Größe".encode("latin-1"))
    with pytest.raises(UserError, match=r"a.yaml: not a text file in UTF-8"):
        read_yaml(path)


def study_of(tmp_path, values):
    base = merge(read_yaml(ROOT / "config.yaml"), values)
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(base))
    return read_study([tmp_path / "a.yaml"])


def family(path, **shapes):
    return {"pub": {"kind": "nmr", "shapes": {"path": path, **shapes}, "split": {"mode": "published"}}}


def test_paths_are_written_out_in_every_place(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("DATA", "/data/of mine")
    study = study_of(
        tmp_path,
        {
            "store": "~/store",
            "families": family("~/nmr"),
            "textures": {"source": "dtd", "path": "$DATA/dtd"},
            "pretraining": {"a": {"label": "A", "method": "weights", "params": {"weights": "${DATA}/r.pth"}}},
        },
    )
    assert study.store == "/home/someone/store" and study.textures.path == "/data/of mine/dtd"
    assert study.families["pub"].shape_params().path == "/home/someone/nmr"
    assert study.pretraining["a"].method_params().weights == Path("/data/of mine/r.pth")
    (tmp_path / "cluster.yaml").write_text("container: ~/robust3d.sif")
    assert read_cluster(tmp_path / "cluster.yaml").container == "/home/someone/robust3d.sif"


@pytest.mark.parametrize("path", ["$NO_SUCH_PLACE/x", "${NO_SUCH_PLACE}/x", "~no-such-user-here/x", "x/${"])
def test_what_cannot_be_written_out_is_refused_with_its_key(tmp_path, path):
    with pytest.raises(UserError, match=r"families\.pub\.shapes\.path: .*(is not set|no user)"):
        study_of(tmp_path, {"families": family(path)})
    with pytest.raises(UserError, match=r"pretraining\.a\.params\.weights: .*(is not set|no user)"):
        study_of(tmp_path, {"pretraining": {"a": {"label": "A", "method": "weights", "params": {"weights": path}}}})
    with pytest.raises(UserError, match=r"textures\.path: .*(is not set|no user)"):
        study_of(tmp_path, {"textures": {"source": "dtd", "path": path}})
    with pytest.raises(UserError, match=r"store: .*(is not set|no user)"):
        study_of(tmp_path, {"store": path})


def test_numbers_and_words_for_texts(tmp_path):
    with pytest.raises(UserError) as caught:
        study_of(tmp_path, {"families": family("x", classes=[12, "car", 1.5, False, None])})
    told = str(caught.value)
    for number, what in ((0, "a number"), (2, "a number"), (3, "true or false")):
        assert f"  families.pub.shapes.classes.{number}: put it in quotes; YAML reads it as {what}" in told
    assert "classes.4: empty, ~ or null" in told


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside the project")
def test_the_cases(monkeypatch):
    with pytest.raises(UserError) as caught:
        read_study([ROOT / "config.yaml", CASES / "octal.yaml"])
    told = str(caught.value)
    assert "families.pub.shapes.classes.2: put it in quotes" in told
    assert "families.pub.shapes.classes.3: put it in quotes" in told and "787351" not in told
    monkeypatch.setenv("HOME", "/home/someone")
    study = read_study([ROOT / "config.yaml", CASES / "tilde.yaml"])
    assert study.families["pub"].shape_params().path == "/home/someone/nmr"
