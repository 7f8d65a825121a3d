from robust3d.study.cluster import Cluster
from robust3d.study.requests import REQUESTS, request, resources
from robust3d.study.stages import STAGES


def test_every_stage_that_leaves_the_head_has_a_request():
    assert set(REQUESTS) == set(STAGES) - {"tabulate", "draw"}


def test_requests_grow_with_the_attempt_up_to_the_clusters_limits():
    cluster = Cluster(max_runtime_min=2000, max_mem_mb=100_000)
    asked = resources("train_classifier", cluster)  # 1,440 minutes, 64,000 MB
    assert [asked["runtime"](None, attempt) for attempt in (1, 2, 3)] == [1440, 2000, 2000]
    assert [asked["mem_mb"](None, attempt) for attempt in (1, 2, 3)] == [64_000, 96_000, 100_000]
    assert resources("train_classifier", Cluster())["mem_mb"](None, 3) == 128_000


def test_a_render_job_asks_for_memory_for_each_of_its_processes():
    few, many = (request("render_shard", Cluster(render_cpus=n)) for n in (2, 32))
    assert (few.cpus, many.cpus) == (2, 32)
    assert many.mem_mb - few.mem_mb == 30_000


def test_the_clusters_names_reach_the_jobs_they_are_for():
    cluster = Cluster(partition="cpu", gpu_partition="gpu", qos="long", constraint="ib", gpu_model="h100")
    on_cpu, on_gpu = resources("build_shapes", cluster), resources("pretrain", cluster)
    assert on_cpu["slurm_partition"] == "cpu" and "gpu" not in on_cpu and "gpu_model" not in on_cpu
    assert on_gpu["slurm_partition"] == "gpu" and on_gpu["gpu"] == 1 and on_gpu["gpu_model"] == "h100"
    assert on_cpu["qos"] == on_gpu["qos"] == "long" and on_cpu["constraint"] == "ib"


def test_nothing_of_a_cluster_is_asked_for_where_none_is_described():
    assert set(resources("pretrain", Cluster())) == {"mem_mb", "runtime", "gpu"}


def test_several_gpus_are_for_trainings_only():
    cluster = Cluster(training_gpus=4)
    asked = {stage: request(stage, cluster).gpus for stage in REQUESTS if request(stage, cluster).gpus}
    assert asked == {"pretrain": 4, "train_classifier": 4, "attack_classifier": 1, "test_shift": 1}
