from pathlib import Path

import yaml

from robust3d.study.cluster import Cluster
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study
from robust3d.study.requests import resources
from robust3d.study.stages import STAGES

ROOT = Path(__file__).parents[2]


def of(stage: str, cluster: Cluster) -> dict:
    return resources(STAGES[stage].request, cluster)


def test_every_stage_that_leaves_the_head_has_a_request():
    staying = {name for name, stage in STAGES.items() if stage.request is None}
    assert staying == {"inventory", "tabulate", "plot", "draw"}


def test_requests_grow_with_the_attempt_up_to_the_clusters_limits():
    cluster = Cluster(max_runtime_min=2000, max_mem_mb=100_000)
    asked = of("train_classifier", cluster)  # 1,440 minutes, 64,000 MB
    assert [asked["runtime"](None, attempt) for attempt in (1, 2, 3)] == [1440, 2000, 2000]
    assert [asked["mem_mb"](None, attempt) for attempt in (1, 2, 3)] == [64_000, 96_000, 100_000]
    assert of("train_classifier", Cluster())["mem_mb"](None, 3) == 128_000


def test_a_render_job_asks_for_memory_for_each_of_its_processes():
    few, many = (STAGES["render_shard"].request.on(Cluster(render_cpus=n)) for n in (2, 32))
    assert (few.cpus, many.cpus) == (2, 32)
    assert many.mem_mb - few.mem_mb == 30_000


def test_the_clusters_names_reach_the_jobs_they_are_for():
    cluster = Cluster(partition="cpu", gpu_partition="gpu", qos="long", constraint="ib", gpu_model="h100")
    on_cpu, on_gpu = of("build_shapes", cluster), of("pretrain", cluster)
    assert on_cpu["slurm_partition"] == "cpu" and "gpu" not in on_cpu and "gpu_model" not in on_cpu
    assert on_gpu["slurm_partition"] == "gpu" and on_gpu["gpu"](None) == 1 and on_gpu["gpu_model"] == "h100"
    assert on_cpu["qos"] == on_gpu["qos"] == "long" and on_cpu["constraint"] == "ib"


def test_nothing_of_a_cluster_is_asked_for_where_none_is_described():
    assert set(of("pretrain", Cluster())) == {"mem_mb", "runtime", "gpu"}


def test_several_gpus_are_for_trainings_only():
    four, one = (STAGES["train_classifier"].request.on(Cluster(), devices) for devices in (4, 1))
    assert (four.gpus, four.cpus, four.mem_mb) == (4, 4 * one.cpus, 4 * one.mem_mb)
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    values["pretraining"]["dvr"]["params"]["loop"]["devices"] = 2
    values["classifiers"]["l2"]["devices"] = 5
    values["training_seeds"] = [0]
    plan = Plan(load_study(values))
    plan.every_job()
    several = {job.label: job.devices for job in plan.jobs.values() if job.devices > 1}
    assert several == {
        "dvr-categories-s0": 2, "dvr-geons-s0": 2,
        **{f"categories-l2-{start}-s0": 5 for start in ("scratch", "ae", "vae", "dvr", "pixelnerf")},
        **{f"{name}-l2-{start}-s0": 5 for name in ("black", "textured", "correlated") for start in ("scratch", "dvr")},
    }  # fmt: skip
