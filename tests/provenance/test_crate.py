import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from robust3d.data.published.inventory import Credit, Entry, Inventory
from robust3d.errors import UserError
from robust3d.provenance.crate import export_crate

# The first is public domain (CC0), as the package rocrate 0.10 carries it; the second lists the names of the second
# vocabulary, each its address and the name.
CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.jsonld",
    "https://w3id.org/ro/terms/workflow-run/context": "workflow-run.jsonld",
}
SHAPES = "results/build_shapes/cone-0123456789ab/shapes.npz"
MODEL = "results/train_classifier/at-ba9876543210/classifier.safetensors"
JOBS = ["build_shapes/cone-0123456789ab", "train_classifier/at-ba9876543210", "tabulate/table4"]
HOSTILE = {
    "quote": 'a "quoted" \\ line\nand another',
    "reference": '{"@id": "#run"}',
    "object": {"@id": "./", "@type": "Dataset"},
    "list": [{"@value": "x"}, "</script>", None],
    "@id": "https://example.org/not-a-name",
    "accented": "Möbius \u202e\U0001f9ca",
    "half": "\ud800",
    "": "no name",
}


def digest(path: Path | str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def described(*paths: str) -> list[dict]:
    return [{"path": path, "sha256": digest(path), "bytes": Path(path).stat().st_size} for path in paths]


def write(path: str, content: str | bytes) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def make(record: str, stage: str, job: str, params: dict, inputs: dict, outputs: dict, started: str) -> None:
    """A record as the runner writes it."""
    source = f"src/robust3d/stages/{stage}.py"
    code = {f"robust3d.stages.{stage}": {"file": source, "sha256": digest(source), "meaning": "", "parts": {}}}
    content = {
        "schema": 2,
        "job": job,
        "spec": {
            "stage": stage,
            "params": params,
            "modules": [f"robust3d.stages.{stage}"],
            "code": hashlib.sha256(stage.encode()).hexdigest(),
            "packages": {"numpy": "1.26.4"},
        },
        "command": ["robust3d", "run", stage],
        "code": code,
        "accepted": None,
        "inputs": {name: described(*paths) for name, paths in inputs.items()},
        "outputs": {name: described(path)[0] for name, path in outputs.items()},
        "environment": {
            "python": "3.11.7",
            "lock": digest("envs/requirements.lock"),
            "packages": {"numpy": "1.26.4"},
        },
        "host": {"name": "node1", "system": "Linux", "threads": 1, "gpu": None},
        "slurm": {},
        "started": started,
        "seconds": 61.5,
        "cpu_seconds": 60.0,
        "peak_memory_mb": 172.9,
        "key": None,
        "notes": {},
        "reused": None,
    }
    write(record, json.dumps(content, indent=1))


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project with three finished jobs: a mesh, a classifier of 1.5 MB, a table."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    for name in ("Snakefile", "config.yaml", "LICENSE", "workflow/rules/all.smk"):
        write(name, f"# {name}\n")
    write("envs/requirements.lock", "numpy==1.26.4 \\\nsnakemake==9.27.1 \\\n")
    for stage in ("build_shapes", "train_classifier", "tabulate"):
        write(f"src/robust3d/stages/{stage}.py", f'"""The stage {stage}."""\n')
    write(SHAPES, b"mesh")
    folder = Path(SHAPES).parent
    make(f"{folder}/record.json", *JOBS[0].split("/"), HOSTILE, {}, {"shapes": SHAPES}, "2026-01-02T03:00:00+00:00")
    write(MODEL, b"weights" * 220_000)
    info = write(MODEL.replace("safetensors", "json"), "{}\n")
    outputs = {"classifier": MODEL, "info": info}
    told = {"epochs": 3, "eps": 0.5, "on": True}
    record = f"{Path(MODEL).parent}/record.json"
    make(record, *JOBS[1].split("/"), told, {"shapes": [SHAPES]}, outputs, "2026-01-02T03:02:00+00:00")
    outputs = {
        name: write(f"results/table4.{end}", end) for name, end in {"table": "csv", "cells": "cells.json"}.items()
    }
    inputs = {"classifiers": [info, MODEL]}
    make("results/table4.record.json", *JOBS[2].split("/"), {}, inputs, outputs, "2026-01-02T03:04:00+00:00")
    return root


@pytest.fixture
def crate(project, tmp_path) -> Path:
    export_crate("results/table4.csv", tmp_path / "crate", with_data=False)
    return tmp_path / "crate"


def graph(crate: Path) -> dict[str, dict]:
    entities = json.loads((crate / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    found = {entity["@id"]: entity for entity in entities}
    assert len(found) == len(entities)
    return found


def of_type(crate: Path, kind: str) -> list[dict]:
    return [entity for entity in graph(crate).values() if kind in entity["@type"]]


def references(value) -> list[str]:
    return [reference["@id"] for reference in (value if isinstance(value, list) else [value])]


@pytest.fixture
def cache(tmp_path) -> Path:
    """What the validator would fetch, so that it needs no network."""
    import requests
    import urllib3
    from requests_cache import CachedSession

    class Vendored(requests.adapters.HTTPAdapter):
        def send(self, request, **_):
            content = (Path(__file__).parent / "contexts" / CONTEXTS[request.url]).read_bytes()
            headers = {"Content-Type": "application/ld+json"}
            raw = urllib3.HTTPResponse(io.BytesIO(content), headers=headers, status=200, preload_content=False)
            return self.build_response(request, raw)

    with CachedSession(str(tmp_path / "cache"), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", Vendored())
        for url in CONTEXTS:
            session.get(url)
    return tmp_path / "cache"


def issues(crate: Path, cache: Path, profile: str, severity: str) -> set[tuple[str, str, str]]:
    """Level, check and message of everything that the validator finds."""
    from rocrate_validator.models import Severity
    from rocrate_validator.services import ValidationSettings, validate

    settings = ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier=profile,
        requirement_severity=getattr(Severity, severity),
        offline=True,
        cache_path=cache,
    )
    result = validate(settings)
    found = {(i.severity.name, i.check.identifier, str(i.message).strip()) for i in result.get_issues()}
    assert result.passed() == (not found)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("with_data", [False, True])
@pytest.mark.parametrize("profile", ["process-run-crate", "workflow-run-crate", "provenance-run-crate"])
def test_the_crate_conforms(project, tmp_path, cache, profile, with_data):
    export_crate("results/table4.csv", tmp_path / "crate", with_data)
    assert issues(tmp_path / "crate", cache, profile, "REQUIRED") == set()


@pytest.mark.slow
def test_the_recommendations_are_kept_where_they_can_be(project, tmp_path, cache):
    author = {"family-names": "Yamada", "given-names": "Yutaro", "affiliation": "A University"}
    citation = {"version": "0.1.0", "repository-code": "https://example.org/robust3d", "authors": [author]}
    write("CITATION.cff", json.dumps(citation))
    export_crate("results/table4.csv", tmp_path / "crate", with_data=False)
    found = issues(tmp_path / "crate", cache, "provenance-run-crate", "RECOMMENDED")
    assert {(severity, check) for severity, check, _ in found} == {
        ("RECOMMENDED", "process-run-crate-0.5_5.1"),  # the Snakefile is in the crate, so its id is relative
        ("RECOMMENDED", "ro-crate-1.1_28.1"),  # nobody can look up whether a hash is available
    }


@pytest.mark.slow
def test_a_crate_without_its_scheduling_does_not_conform(crate, cache):
    path = crate / "ro-crate-metadata.json"
    content = json.loads(path.read_text())
    for entity in content["@graph"]:
        if entity["@type"] == "ControlAction":
            del entity["instrument"]
    path.write_text(json.dumps(content))
    assert issues(crate, cache, "provenance-run-crate", "REQUIRED")


def test_every_copied_file_is_what_the_records_say(crate):
    entities = graph(crate)
    recorded = {"envs/requirements.lock": digest("envs/requirements.lock")}
    for path in Path("results").rglob("*record.json"):
        record = json.loads(path.read_text())
        files = [*record["outputs"].values(), *(file for group in record["inputs"].values() for file in group)]
        recorded |= {file["path"]: file["sha256"] for file in files}
        recorded |= {code["file"]: code["sha256"] for code in record["code"].values()}
        recorded[str(path)] = digest(path)
    copied = {str(path.relative_to(crate)): path for path in crate.rglob("*") if path.is_file()}
    assert set(recorded) - set(copied) == {MODEL}
    assert set(copied) - set(recorded) == {
        "ro-crate-metadata.json",
        "README.md",
        "Snakefile",
        "config.yaml",
        "LICENSE",
        "workflow/rules/all.smk",
    }
    for name, path in copied.items():
        if name in recorded:
            assert digest(path) == recorded[name]
        if name not in ("ro-crate-metadata.json", "README.md"):
            assert digest(path) == entities[name]["sha256"]
            assert path.stat().st_size == int(entities[name]["contentSize"])


def test_big_files_are_named_by_their_hash_unless_asked_for(project, tmp_path):
    export_crate("results/table4.csv", tmp_path / "small", with_data=False)
    export_crate("results/table4.csv", tmp_path / "full", with_data=True)
    assert not (tmp_path / "small" / MODEL).exists()
    assert digest(tmp_path / "full" / MODEL) == digest(MODEL)
    (outside,) = [entity for entity in of_type(tmp_path / "small", "File") if entity["name"] == MODEL]
    assert outside["@id"].startswith("ni:///sha-256;")
    assert outside["sha256"] == digest(MODEL) and outside["contentSize"] == str(Path(MODEL).stat().st_size)
    assert graph(tmp_path / "full")[MODEL]["sha256"] == digest(MODEL)


def test_runcrate_lists_every_job(crate):
    from runcrate.report import dump_crate_actions

    report = io.StringIO()
    dump_crate_actions(crate, report)
    lines = report.getvalue().splitlines()
    assert [line for line in lines if line.startswith("action:")] == [
        "action: #run",
        *(f"action: #job/{job}" for job in JOBS),
    ]
    assert f"    {SHAPES} <- #formal/train_classifier/input/shapes" in lines


def test_a_job_is_told_with_its_parameters_code_and_times(crate):
    entities = graph(crate)
    action = entities[f"#job/{JOBS[1]}"]
    assert (action["startTime"], action["endTime"]) == (
        "2026-01-02T03:02:00.000+00:00",
        "2026-01-02T03:03:01.500+00:00",
    )
    told = {entities[name]["name"]: entities[name].get("value") for name in references(action["object"])}
    assert told == {SHAPES: None, "epochs": "3", "eps": "0.5", "on": "true"}
    types = {
        name: entities[f"#formal/train_classifier/parameter/{name}"]["additionalType"]
        for name in ("epochs", "eps", "on")
    }
    assert types == {"epochs": "Integer", "eps": "Float", "on": "Boolean"}
    assert references(entities[f"#job/{JOBS[0]}"]["result"]) == [SHAPES]
    tool = entities[action["instrument"]["@id"]]
    assert tool["softwareVersion"] == hashlib.sha256(b"train_classifier").hexdigest()
    assert references(tool["hasPart"]) == ["src/robust3d/stages/train_classifier.py"]
    usage = {entities[name]["propertyID"]: entities[name]["value"] for name in references(action["resourceUsage"])}
    assert usage == {"seconds": "61.5", "cpu_seconds": "60.0", "peak_memory_mb": "172.9"}
    environment = {entities[name]["name"]: entities[name]["value"] for name in references(action["environment"])}
    assert environment["packages.numpy"] == "1.26.4" and environment["host.name"] == "node1"
    assert entities["results/table4.cells.json"]["about"] == {"@id": "results/table4.csv"}


def test_steps_and_connections_follow_the_records(crate):
    entities = graph(crate)
    steps = {entity["name"]: entity["position"] for entity in of_type(crate, "HowToStep")}
    assert steps == {"build_shapes": "1", "train_classifier": "2", "tabulate": "3"}
    controls = [entity["object"]["@id"] for entity in of_type(crate, "ControlAction")]
    assert controls == [f"#job/{job}" for job in JOBS]
    connected = {
        (entity["sourceParameter"]["@id"], entity["targetParameter"]["@id"])
        for entity in of_type(crate, "ParameterConnection")
    }
    assert connected == {
        ("#formal/build_shapes/output/shapes", "#formal/train_classifier/input/shapes"),
        ("#formal/train_classifier/output/info", "#formal/tabulate/input/classifiers"),
        ("#formal/train_classifier/output/classifier", "#formal/tabulate/input/classifiers"),
        ("#formal/tabulate/output/table", "#formal/workflow/output/table"),
        ("#formal/tabulate/output/cells", "#formal/workflow/output/cells"),
    }
    (engine,) = of_type(crate, "OrganizeAction")
    assert entities[engine["instrument"]["@id"]]["softwareVersion"] == "9.27.1"


def test_odd_parameters_come_out_as_plain_strings(crate):
    entities = graph(crate)
    action = entities[f"#job/{JOBS[0]}"]
    told = {entities[name]["name"]: entities[name]["value"] for name in references(action["object"])}
    assert told == {
        "quote": HOSTILE["quote"],
        "reference": HOSTILE["reference"],
        "object.@id": "./",
        "object.@type": "Dataset",
        "list": '[{"@value": "x"}, "</script>", null]',
        "@id": HOSTILE["@id"],
        "accented": HOSTILE["accented"],
        "half": "\\ud800",
        "": "no name",
    }
    assert HOSTILE["@id"] not in entities
    for entity in entities.values():
        for key, value in entity.items():
            for part in value if isinstance(value, list) else [value]:
                assert isinstance(part, str) or set(part) == {"@id"}, (entity["@id"], key, part)


def test_every_reference_leads_somewhere(crate):
    entities = graph(crate)
    known = {*entities, "https://w3id.org/ro/crate/1.1", "https://doi.org/10.1093/bioinformatics/bts480"}
    for entity in entities.values():
        for value in entity.values():
            for part in value if isinstance(value, list) else [value]:
                assert isinstance(part, str) or part["@id"] in known or "snakemake" in part["@id"], part


def test_code_that_has_changed_since_is_named_by_its_hash(project, tmp_path, capsys):
    name = "src/robust3d/stages/train_classifier.py"
    before = digest(name)
    write(name, "# edited\n")
    export_crate("results/table4.csv", tmp_path / "crate", with_data=True)
    assert not (tmp_path / "crate" / name).exists()
    (entity,) = [entity for entity in of_type(tmp_path / "crate", "File") if entity["name"] == name]
    assert entity["@id"].startswith("ni:") and entity["sha256"] == before
    assert name in capsys.readouterr().out


def test_published_data_stay_outside(project, tmp_path):
    write("resources/photo.png", b"not ours")
    path = Path("results/table4.record.json")
    record = json.loads(path.read_text())
    record["inputs"]["photo"] = described("resources/photo.png")
    path.write_text(json.dumps(record))
    export_crate("results/table4.csv", tmp_path / "crate", with_data=True)
    assert not (tmp_path / "crate/resources").exists()
    (entity,) = [entity for entity in of_type(tmp_path / "crate", "File") if entity["name"] == "resources/photo.png"]
    assert entity["@id"].startswith("ni:")


def test_a_result_may_be_named_by_its_full_path(project, tmp_path):
    for number, name in enumerate(("results/table4.csv", str(project / "results/table4.csv"))):
        export_crate(name, tmp_path / str(number), with_data=False)
    first, second = (of_type(tmp_path / str(number), "File") for number in (0, 1))
    assert first == second and "results/table4.csv" in [entity["name"] for entity in first]


def test_names_with_odd_characters_are_found_again(project, tmp_path):
    odd = write("results/odd name #1 é/metrics:%41.json", "{}")
    path = Path("results/table4.record.json")
    record = json.loads(path.read_text())
    record["inputs"]["metrics"] = described(odd)
    path.write_text(json.dumps(record))
    export_crate("results/table4.csv", tmp_path / "crate", with_data=False)
    (entity,) = [entity for entity in of_type(tmp_path / "crate", "File") if entity["name"] == odd]
    assert digest(tmp_path / "crate" / unquote(entity["@id"])) == digest(odd)


def test_an_empty_folder_is_used(project, tmp_path):
    (tmp_path / "crate").mkdir()
    export_crate("results/table4.csv", tmp_path / "crate", with_data=False)
    assert (tmp_path / "crate/results/table4.csv").exists()


def spoil_nothing() -> None:
    pass


def change_a_result() -> None:
    write(SHAPES, b"meSh")


def lose_a_result() -> None:
    Path(SHAPES).unlink()


def damage_a_record() -> None:
    path = Path(SHAPES).parent / "record.json"
    record = json.loads(path.read_text())
    del record["started"]
    path.write_text(json.dumps(record))


def leave_the_project() -> None:
    Path("Snakefile").unlink()


@pytest.mark.parametrize(
    ("spoil", "target", "message"),
    [
        (spoil_nothing, "results/table9.csv", "table9.csv: no record"),
        (spoil_nothing, "results/table4.png", "table4.png: no job made this file; table4 made results/table4.csv"),
        (change_a_result, "results/table4.csv", f"{SHAPES}: differs from its record"),
        (lose_a_result, "results/table4.csv", f"{SHAPES}: missing"),
        (damage_a_record, "results/table4.csv", "cone-0123456789ab/record.json: not a record of this version"),
        (leave_the_project, "results/table4.csv", "Snakefile: not found"),
    ],
)
def test_a_refusal_leaves_nothing_behind(project, tmp_path, spoil, target, message):
    spoil()
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        export_crate(target, tmp_path / "out/crate", with_data=False)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_in_use_is_left_alone(project, tmp_path):
    (tmp_path / "crate").mkdir()
    (tmp_path / "crate/mine.txt").write_text("mine")
    with pytest.raises(UserError, match="something already"):
        export_crate("results/table4.csv", tmp_path / "crate", with_data=False)
    assert [path.name for path in (tmp_path / "crate").iterdir()] == ["mine.txt"]
    assert not list(tmp_path.glob(".partial*"))


def test_the_command_line_starts_without_the_library():
    check = (
        "import sys, robust3d.cli, robust3d.provenance.crate; print('rocrate' in sys.modules, 'torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", check], text=True).split() == ["False", "False"]


def test_creators_of_published_objects_are_in_it(project, tmp_path, cache):
    entry = Entry("Scopia.sh3f", 1, "x", credit=Credit("Oak chair", "Béa", "CC BY 3.0", "Scopia"))
    inventory = write(
        "results/inventory/o-0123456789ab/inventory.json", Inventory("sweethome3d", {"chair": {"a": entry}}).to_json()
    )
    write("src/robust3d/stages/inventory.py", '"""The stage."""\n')
    record = f"{Path(inventory).parent}/record.json"
    make(record, "inventory", "o-0123456789ab", {}, {}, {"inventory": inventory}, "2026-01-02T02:00:00+00:00")
    folder, inputs = Path(SHAPES).parent, {"inventory": [inventory]}
    make(f"{folder}/record.json", *JOBS[0].split("/"), {}, inputs, {"shapes": SHAPES}, "2026-01-02T03:00:00+00:00")
    export_crate("results/table4.csv", tmp_path / "crate", with_data=False)
    assert "Béa: Oak chair" in (tmp_path / "crate/ATTRIBUTION.txt").read_text(encoding="utf-8")
    assert graph(tmp_path / "crate")["ATTRIBUTION.txt"]["about"] == {"@id": "./"}
    assert not issues(tmp_path / "crate", cache, "provenance-run-crate", "REQUIRED")
