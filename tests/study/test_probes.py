"""What the configuration says of probes, and the names under which tables find outcomes."""

import json

import pytest
from configuration import at_test_scale

from robust3d.errors import UserError
from robust3d.named import Sources, kind_of
from robust3d.study.jobs import Job
from robust3d.study.like import merge
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study
from robust3d.study.stages import STAGES

BASE = at_test_scale()


def planned(**overlay) -> Plan:
    return Plan(load_study(merge(BASE, overlay)))


def asked(plan: Plan, probe: str, experiment: str = "black") -> Job:
    config = plan.study.experiments[experiment]
    return plan.outcomes(plan.train_classifier("linf", config, None, 0), probe, config)


def told(job: Job) -> dict:
    return dict(json.loads(job.spec)["params"])


def test_an_attack_is_a_probe_by_its_norm():
    job = asked(planned(), "Linf")
    assert (job.stage, told(job)["probe"], job.label) == ("probe", "autoattack", "black-linf-scratch-s0-linf")
    assert told(job)["params"]["epsilons"] == ["8/255", "16/255"] and list(told(job)["sets"]) == ["set"]


def test_a_probe_reads_the_experiments_sets_or_its_own():
    plan = planned(probes={"far": {"probe": "shift", "sets": {"shifted": "categories"}}})
    ours, far = asked(plan, "shift", "correlated"), asked(plan, "far", "correlated")
    assert ours.inputs["views:shifted"][0][0] is plan.index_views("geons")
    assert told(ours)["sets"]["shifted"]["background"]["kind"] == "shifted"
    assert far.inputs["views:shifted"][0][0] is plan.index_views("categories")
    assert far.inputs["set:shifted"][0][0] is plan.draw_set("categories")
    assert far.inputs["views:set"][0][0] is plan.index_views("geons")
    assert {job for job, _ in far.bulk["shards:shifted"]} == set(plan.shards("categories"))
    with pytest.raises(UserError, match=r"probes\.shift: shift reads a set called `shifted`"):
        asked(plan, "shift")
    with pytest.raises(UserError, match=r"no probe 'L1' .* there are Linf, L2, .*accuracy, .*far, .*shift"):
        asked(plan, "L1")


def test_a_probe_reads_further_sets_where_its_entry_names_them():
    plain = {"probe": "distortions", "params": {"distortions": ["silhouette"]}}
    plan = planned(probes={"plain": plain, "masked": {**plain, "sets": {"masks": "shifted"}}})
    assert list(told(asked(plan, "plain"))["sets"]) == ["set"]
    masked = asked(plan, "masked")
    assert set(told(masked)["sets"]) == {"set", "masks"} and masked.inputs["set:masks"][0][0].stage == "draw_set"
    with pytest.raises(UserError, match=r"probes\.x\.sets\.mask: distortions reads set, masks, stylised, textures"):
        planned(probes={"x": {"probe": "distortions", "sets": {"mask": "black"}}})


def test_a_probes_seed_is_the_studys_unless_it_is_given():
    attack = {"probe": "autoattack", "params": {"iterations": 3}}
    mine = {"probe": "autoattack", "params": {"iterations": 3, "seed": 9}}
    plan = planned(seed=4, probes={"one": attack, "two": mine})
    assert told(asked(plan, "one"))["params"]["seed"] == 4 and told(asked(plan, "Linf"))["params"]["seed"] == 4
    assert told(asked(plan, "two"))["params"]["seed"] == 9
    assert "seed" not in told(asked(plan, "accuracy"))["params"]


@pytest.mark.parametrize(
    ("probes", "says"),
    [
        (
            {"x": {"probe": "nothing"}},
            "no probe called 'nothing': .* have ablation, accuracy, autoattack, brain, corruptions, cue_conflict, "
            "depth, dissection, distortions, features, robustness, shift, smoothness",
        ),
        ({"x": {"probe": "shift", "params": {"batch": 1}}}, "probes.x.params.batch: unknown key"),
        ({"x": {"probe": "accuracy", "sets": {"shifted": "black"}}}, "probes.x.sets.shifted: accuracy reads set"),
        ({"x": {"probe": "accuracy", "sets": {"set": "blakc"}}}, "probes.x.sets.set: 'blakc' is not defined"),
        ({"Linf": {"probe": "accuracy"}}, "probes.Linf: this is the name of an attack"),
        ({"x": None}, "probes.x"),
    ],
)
def test_a_wrong_probe_is_named(probes, says):
    with pytest.raises(UserError, match=says):
        planned(probes=probes)


def test_table_3_refuses_a_probe_that_shifts_nothing():
    with pytest.raises(UserError, match=r"papers\.geon3d\.table3_probe: accuracy reads no set called `shifted`"):
        planned(papers={"geon3d": {"table3_probe": "accuracy"}})


@pytest.mark.parametrize(
    ("classifier", "says"),
    [
        (
            {"objective": "sgd"},
            "classifiers.linf.objective: there is no training called 'sgd': .* finetune, linear, pgd, standard",
        ),
        ({"objective": 3}, "classifiers.linf"),
        ({"epoch": 3}, "classifiers.linf.epoch: unknown key"),
        (None, "None of linf has no keys"),
    ],
)
def test_a_wrong_training_is_named(classifier, says):
    with pytest.raises(UserError, match=says):
        load_study(merge(BASE, {"classifiers": {"linf": classifier}}))


def test_a_training_is_the_only_one_of_its_kind_in_a_jobs_code():
    plan = planned()
    config = plan.study.experiments["categories"]
    modules = [plan.train_classifier(key, config, None, 0).modules for key in ("linf", "standard")]
    trainings = [[name for name in names if name.startswith("robust3d.trainings.")] for names in modules]
    assert trainings == [["robust3d.trainings.pgd"], ["robust3d.trainings.standard"]]


def test_names_are_labels_and_tell_jobs_of_one_label_apart():
    """The two experiments differ in what the pre-training sees, which no label says."""
    other = BASE["experiments"]["black"] | {"pretrain_input": {"kind": "white"}}
    overlay = {"experiments": {"other": other}, "pretraining": {"dvr": {"experiments": None}}}
    plan = planned(**overlay)
    found = Sources(plan)
    first = found.outcomes("black", "Linf", "linf", "dvr")
    second = found.outcomes("other", "Linf", "linf", "dvr")
    assert first == ["black-linf-dvr-s0-linf"] and second == ["black-linf-dvr-s0-linf-2"]
    assert found.outcomes("black", "Linf", "linf", "dvr") == first
    jobs = {name: job for name, ((job, _),) in found.inputs.items()}
    assert set(map(kind_of, jobs)) == {"metrics", "outcomes"} and len(jobs) == 4
    assert jobs[f"outcomes:{first[0]}"] is jobs[f"metrics:{first[0]}"] is not jobs[f"outcomes:{second[0]}"]
    assert jobs[f"outcomes:{first[0]}"].digest not in json.dumps([first, second])


def test_requests_differ_by_probe():
    plan = planned()
    attack, right = asked(plan, "Linf").request, asked(plan, "accuracy").request
    assert attack and right and attack.runtime_min == 1_440 and right.runtime_min == 30
    gpus = {variant.request.gpus for variant in STAGES["probe"].variants.values()}
    assert gpus == {STAGES["probe"].request.gpus}  # the rule's partition is one


def test_a_probes_own_packages_are_part_of_its_jobs_alone(monkeypatch):
    import robust3d.probes.accuracy as module

    plan = planned()
    packages = [json.loads(asked(plan, probe).spec)["packages"] for probe in ("Linf", "accuracy")]
    assert "pyautoattack" in packages[0] and "pyautoattack" not in packages[1]
    monkeypatch.setattr(module, "PACKAGES", ("scipy",), raising=False)
    assert "scipy" in json.loads(asked(planned(), "accuracy").spec)["packages"]
    monkeypatch.setattr(module, "PACKAGES", ("nothing",), raising=False)
    with pytest.raises(UserError, match=r"requirements\.lock: there is no nothing in it"):
        _ = asked(planned(), "accuracy").spec
