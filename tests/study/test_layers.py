"""One way to load a study: layers in order, whatever the order of keys, by `snakemake` and by `robust3d`."""

import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.settings.types import ConfigSettings

from robust3d.errors import UserError
from robust3d.study.config import Study
from robust3d.study.like import merge
from robust3d.study.needs import made_from
from robust3d.study.places import scale_file
from robust3d.study.plan import Plan
from robust3d.study.reading import command_line, load_study, read_papers, read_study, read_yaml

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config.yaml"


def permuted(values: Any, rng: random.Random) -> Any:
    """The same, with the keys of every mapping in another order."""
    if isinstance(values, dict):
        return {key: permuted(values[key], rng) for key in rng.sample(list(values), len(values))}
    return [permuted(value, rng) for value in values] if isinstance(values, list) else values


def written(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def digests(study: Study) -> dict[tuple[str, str], str]:
    plan = Plan(study)
    return {(job.stage, job.label): job.digest for job in plan.every_job()}


def by_snakemake(overlays: list[Path], entries: list[str]) -> Study:
    """What `workflow/rules/common.smk` makes of Snakemake's own settings."""
    told = ConfigSettings(config=parse_config(entries), configfiles=overlays, config_args=entries)
    return read_study([CONFIG, *told.configfiles], command_line(told.config_args))


# Pieces of overlays that go together in any number; some reset a mapping that a later one sets again.
PIECES: list[dict[str, Any]] = [
    {"seed": 3},
    {"training_seeds": [4, 2]},
    {"pretraining": {"zebra": {"label": "Zebra", "method": "vae"}, "ape": {"label": "Ape", "method": "ae"}}},
    {"pretraining": {"supervised": {"experiments": ["categories", "correlated"]}}},
    {"pretraining": {"imagenet": {"experiments": ["categories"]}, "ae": {"label": "A"}}},
    {"classifiers": {"linf": {"epochs": 2, "attack": {"steps": 3, "epsilon": 0.25}}}},
    {"families": {"geons": {"split": None}}},
    {"families": {"geons": {"split": {"mode": "orbit"}}}},
    {"families": {"geons": {"shapes": {"overrides": {"cone": {"half_width": 0.3}, "cuboid": {"half_width": 0.2}}}}}},
    {
        "papers": {"geon3d": {"table4_rows": {"L2": 1.0, "Linf": "8/255"}}},
        "attacks": {"L2": {"epsilons": [1.0, 1.5]}, "Linf": {"epsilons": ["8/255", "16/255"]}},
    },
    {"attacks": {"L2": {"epsilons": [1.0, "3/2"]}, "Linf": {"settings": {"square_queries": 7}}}},
    {"experiments": {"black": {"epsilons": {"L2": [1.0, 2.5]}}}},
]


@given(
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=5, unique_by=id),
    cuts=st.tuples(st.integers(0, 5), st.integers(0, 5)).map(sorted),
    scale=st.sampled_from([None, "test", "gpu"]),
    rng=st.randoms(use_true_random=False),
)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_snakemake_and_robust3d_load_the_same_study(tmp_path, pieces, cuts, scale, rng):
    """Pieces are dealt to two overlays and the command line; keys are shuffled in one of the two ways."""
    parts = [pieces[: cuts[0]], pieces[cuts[0] : cuts[1]], pieces[cuts[1] :]]
    first, second, last = (_merged(part) for part in parts)
    overlays = [written(tmp_path / "first.yaml", first), written(tmp_path / "second.yaml", second)]
    given_values = last | ({"scale": scale} if scale else {})
    try:
        plain = read_study([CONFIG, *overlays], given_values)
    except UserError as error:  # a geon family that is trained on needs a split
        assert "split" in str(error)
        return
    shuffled = [written(tmp_path / f"shuffled-{i}.yaml", permuted(part, rng)) for i, part in enumerate([first, second])]
    entries = [f"{key}={_flow(permuted(value, rng))}" for key, value in permuted(given_values, rng).items()]
    loaded = by_snakemake(shuffled, entries)
    assert loaded == plain
    assert digests(loaded) == digests(plain)
    shared = merge(read_papers(), read_yaml(CONFIG))
    base = permuted(merge(shared, read_yaml(scale_file(scale)) if scale else {}), rng)
    assert digests(load_study(merge(merge(merge(base, first), second), last))) == digests(plain)


def _merged(part: list[dict[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for piece in part:
        values = merge(values, piece)
    return values


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).removesuffix("\n...\n").strip()


def test_columns_are_the_papers_then_by_name():
    more = {key: {"label": key.title(), "method": "ae"} for key in ("wide", "deep")}
    for overlay in ({"pretraining": more}, {"pretraining": dict(reversed(more.items()))}):
        values = merge(merge(merge(read_papers(), read_yaml(CONFIG)), read_yaml(scale_file("test"))), overlay)
        values["pretraining"] = dict(reversed(values["pretraining"].items()))
        values["pretraining"]["imagenet"]["experiments"] = ["categories"]
        labels = [label for label, _ in Plan(load_study(values)).columns("categories")]
        paper = ["AT", "AE+AT", "VAE+AT", "DVR+AT", "PxN+AT"]
        assert labels == [*paper, "Deep+AT", "ImageNet-init+AT", "Supervised+AT", "Wide+AT"]


def test_two_columns_of_one_name_are_refused():
    twin = {"label": "DVR", "method": "ae"}
    values = merge(read_yaml(CONFIG), {"pretraining": {"twin": twin}})
    with pytest.raises(UserError, match=r"pretraining\.twin\.label: 'DVR' is already the label of dvr"):
        load_study(values)
    load_study(merge(values, {"pretraining": {"twin": {"experiments": []}}}))


def test_later_layers_win_and_the_scale_lies_lowest(tmp_path):
    overlay = written(tmp_path / "mine.yaml", {"seed": 5, "sets": {"black": {"images": [8, 8, 8]}}})
    study = read_study([CONFIG, overlay], {"scale": "gpu", "seed": 6})
    assert (study.study, study.seed, study.sets["black"].images) == ("gpu", 6, (8, 8, 8))
    assert study.training_seeds == (0, 1, 2)
    named = written(tmp_path / "named.yaml", {"scale": "gpu"})
    gpu = read_study([CONFIG, scale_file("gpu")])
    assert read_study([CONFIG, named]) == read_study([CONFIG], {"scale": "gpu"}) == gpu
    assert read_study([CONFIG, named], {"scale": "test"}).study == "test"  # the last mention counts
    assert read_study([CONFIG, named], {"scale": None}) == read_study([CONFIG])


@pytest.mark.parametrize("name", ["gpux", "", 3, ["gpu"], "gpu.yaml", "../scales/gpu", ".hidden"])
def test_an_unknown_scale_is_refused_with_those_that_there_are(name):
    with pytest.raises(UserError) as error:
        read_study([CONFIG], {"scale": name})
    told = str(error.value)
    assert repr(name) in told and "\n" not in told
    assert all(path.stem in told for path in (ROOT / "workflow/scales").glob("*.yaml"))


def test_a_value_on_the_command_line_is_read_as_in_a_file():
    twice = ["classifiers={linf: {epochs: 2}}", "classifiers={linf: {learning_rate: 1.0e-2}}"]
    given_values = command_line([*twice, "seed=7", "store=", 'study="3"'])
    assert given_values["classifiers"] == {"linf": {"epochs": 2, "learning_rate": 0.01}}
    study = read_study([CONFIG], given_values)
    assert (study.classifiers["linf"].epochs, study.seed, study.store, study.study) == (2, 7, None, "3")
    for entry, told in {
        "scale": "--config scale: expected KEY=VALUE; name targets before --config",
        "results/table4.csv": "--config results/table4.csv: expected KEY=VALUE",  # what --config swallows
        "=3": "--config =3: expected KEY=VALUE",
        "study=a: b": "--config study=a: b: not readable as YAML",
        "study=2024-01-01": "put it in quotes",
        "classifiers={linf: {epochs: '2'}}": "classifiers.linf.epochs: Input should be a valid integer (found the text",
        "classifiers={linf: {learning_rate: 1e-2}}": "write 1e-3 as 1.0e-3",
    }.items():
        with pytest.raises(UserError) as error:
            read_study([CONFIG], command_line([entry]))
        assert told in str(error.value)


def test_snakemake_itself_plans_the_jobs_of_the_study(tmp_path):
    """The real program, in a folder with nothing in it, with an overlay whose keys are shuffled and nested values."""
    values = {"pretraining": {"zebra": {"label": "Zebra", "method": "vae"}}, "seed": 2}
    values |= {"papers": {"geon3d": {"table4_rows": {"L2": 1.0, "Linf": "8/255"}}}}
    overlay = written(tmp_path / "mine.yaml", permuted(values, random.Random(1)))
    folder = tmp_path / "else where"
    folder.mkdir()
    entries = ["scale=test", "classifiers={linf: {epochs: 2}}", "training_seeds=[1, 0]"]
    command = [str(Path(sys.executable).with_name("snakemake")), "results/table4.csv", "-n", "--directory", str(folder)]
    command += ["--config", *entries, "--configfile", str(overlay)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert told.returncode == 0, told.stderr[-2000:]
    lines = re.findall(r"^ +wildcards: job=(\S+)$", told.stdout + told.stderr, re.M)
    plan = Plan(read_study([CONFIG, overlay], command_line(entries)))
    jobs = {job.id for job in made_from([plan.target("table4")])}
    assert set(lines) == {*jobs, "table4"} and len(jobs) > 50


@pytest.mark.slow
def test_another_workflow_takes_this_one_as_a_module(tmp_path):
    """From a folder of its own, with values for what others give in files."""
    folder = tmp_path / "é and spaces"
    folder.mkdir()
    values = {"scale": "test", "study": "of another", "seed": 3}
    module = f"module robust3d:\n    snakefile: {str(ROOT / 'Snakefile')!r}\n    config: {values!r}\n"
    (folder / "Snakefile").write_text(f"{module}use rule * from robust3d\n")
    (folder / "config.yaml").write_text("of: the other workflow\n")
    command = [str(Path(sys.executable).with_name("snakemake")), "--cores", "1"]
    told = subprocess.run([*command, "results/table1.csv"], capture_output=True, text=True, cwd=folder)
    assert told.returncode == 0, told.stderr[-2000:]
    assert '"study": "of another"' in (folder / "results/table1.cells.json").read_text()
    told = subprocess.run([*command, "-n", "results/figure2.png"], capture_output=True, text=True, cwd=folder)
    wanted = Plan(read_study([CONFIG], values)).index_views("gallery").id
    assert f"results/index_views/{wanted}/" in told.stdout + told.stderr
