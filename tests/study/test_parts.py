"""A family of which only the test objects are rendered, such as the same ones in other light."""

import json

import pytest
from configuration import at_test_scale

from robust3d.errors import UserError
from robust3d.study.like import merge
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study

BASE = at_test_scale()
DARK = {"like": "categories", "split": {"parts": ["test"]}, "render": {"like": "categories", "ambient": 0.2}}


def planned(**overlay):
    return Plan(load_study(merge(BASE, overlay)))


def test_only_the_objects_of_these_parts_are_rendered():
    plan = planned(families={"dark": DARK}, sets={"dark": {"like": "categories", "family": "dark"}})
    rendered = {i for job in plan.shards("dark") for i in json.loads(job.spec)["params"]["instances"]}
    every = {i for job in plan.shards("categories") for i in json.loads(job.spec)["params"]["instances"]}
    assert len(every) == 8 and len(rendered) == 1 and rendered < every
    told = json.loads(plan.index_views("dark").spec)["params"]
    assert set(told["every_instance"]) == every
    assert "every_instance" not in json.loads(plan.index_views("categories").spec)["params"]


def test_nothing_is_trained_on_such_a_family():
    data = {"family": "dark", "input": {"kind": "white"}, "target": {"kind": "white"}}
    with pytest.raises(UserError, match=r"pretraining\.ae\.data\.family: of 'dark' only test is rendered"):
        planned(families={"dark": DARK}, pretraining={"ae": {"data": data}})


def test_any_further_sets_are_read_by_the_probe_of_robustness():
    probes = {"shown": {"probe": "robustness", "sets": {"set": "categories", "black_ground": "black"}}}
    plan = planned(probes=probes)
    config = plan.study.experiments["categories"]
    job = plan.outcomes(plan.train_classifier("standard", config, None, 0), "shown", config)
    assert list(json.loads(job.spec)["params"]["sets"]) == ["black_ground", "set"]
    with pytest.raises(UserError, match=r"probes\.shown\.sets: 'on black' is not a name"):
        planned(probes={"shown": {"probe": "robustness", "sets": {"on black": "black"}}})
