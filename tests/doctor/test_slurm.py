import pytest

from robust3d.doctor import commands, slurm
from robust3d.study.cluster import Cluster

GOOD = {
    "partition": "cpu",
    "gpu_partition": "gpu",
    "gpu_model": "h100",
    "account": "lab",
    "max_runtime_min": 120,
}
SQUEUE = {"slurm-status-command": "squeue"}


def look(profile=SQUEUE, gpus=4, **keys):
    return list(slurm.check_slurm(Cluster(**(GOOD | keys)), profile, gpus))


def only_problem(findings):
    problems = [finding for finding in findings if finding.state == "PROBLEM"]
    assert len(problems) == 1, problems
    assert problems[0].mend
    return problems[0]


def test_a_fitting_cluster_file_has_no_problem(fake):
    findings = look()
    assert {finding.state for finding in findings} == {"OK"}
    assert any("h100 (up to 4 a node)" in finding.text for finding in findings)
    assert any("cpu, gpu, old" in finding.text for finding in findings)


@pytest.mark.parametrize(
    ("keys", "text", "mend"),
    [
        ({"partition": "cpus"}, "no partition cpus; there is: cpu, gpu, old", "correct partition in cluster.yaml"),
        ({"gpu_partition": "gpus"}, "no partition gpus; there is: cpu, gpu, old", "correct gpu_partition"),
        ({"gpu_model": "a100"}, "no node has GPUs of model a100; there is: h100 (up to 4", "gpu_model: h100"),
        ({"gpu_partition": "cpu", "gpu_model": None}, "none of its nodes has a GPU", "gpu_partition"),
        ({"gpus": 5}, "a node has at most 4 such GPUs, a training of the study shares 5", "devices: 4"),
        ({"max_runtime_min": 121}, "time limit 120 min is below max_runtime_min 121", "max_runtime_min: 120"),
        ({"render_cpus": 65}, "largest node has 64 CPUs, render_cpus asks for 65", "render_cpus: 64"),
        ({"account": "labs"}, "no account labs; there is: lab", "account: lab"),
        ({"qos": "short"}, "may not use qos short; there is: long, normal", "qos: "),
    ],
)
def test_a_wrong_key_is_named_with_what_is_there(fake, keys, text, mend):
    found = only_problem(look(**keys))
    assert text in found.text and mend in found.mend


def test_a_partition_that_takes_no_jobs(fake):
    found = [f for f in look(gpu_partition="old", gpu_model=None, gpus=1) if f.state == "PROBLEM"]
    assert [f.text for f in found] == ["the partition is not up"]
    fake.says("sinfo", "cpu|up|infinite|16|gpu:h100:4|down*|c1\ncpu|up|infinite|16|gpu:h100:4|idle*|c2\n")
    found = [f for f in look(gpu_partition="cpu") if f.state == "PROBLEM"]
    assert found and all("none of its 2 nodes takes jobs (down*, idle*)" in f.text for f in found)


def test_without_a_named_partition_the_default_one_counts(fake):
    found = only_problem(look(partition=None, render_cpus=65))
    assert "(default)" in found.check
    fake.says("sinfo", "cpu|up|infinite|32|gpu:h100:4|idle|c1\n")
    found = [f for f in look(partition=None, gpu_partition="cpu") if f.state == "PROBLEM"]
    assert [f.text for f in found] == ["the cluster has no default partition; there is: cpu"]


@pytest.mark.parametrize(
    ("age", "accounting", "profile", "state", "text", "mend"),
    [
        (120, "none", SQUEUE, "OK", "squeue", ""),
        (119, "none", SQUEUE, "PROBLEM", "accounting is disabled", "slurm-init-seconds-before-status-checks: 39"),
        (30, "none", SQUEUE | {"slurm-init-seconds-before-status-checks": 10}, "OK", "30 s", ""),
        (119, "slurmdbd", SQUEUE, "OK", "so sacct is used", ""),
        (600, "none", {"slurm-status-command": "sacct"}, "PROBLEM", "accounting is disabled", "command: squeue in"),
        (600, "none", {}, "PROBLEM", "accounting is disabled", "slurm-status-command: squeue"),
        (600, "slurmdbd", {}, "OK", "sacct answers", ""),
    ],
)
def test_the_way_to_learn_that_a_job_has_ended(fake, age, accounting, profile, state, text, mend):
    fake.says("scontrol", f"AccountingStorageType = accounting_storage/{accounting}\nMinJobAge   = {age} sec\n")
    (found,) = slurm.check_status_method(profile)
    assert found.state == state and text in found.text and mend in found.mend


def test_accounting_that_does_not_answer_is_not_waited_for(fake, monkeypatch):
    monkeypatch.setattr(commands, "PATIENCE_S", 0.2)
    fake.script("sacct", "exec /bin/sleep 30")
    found = only_problem(look(profile={}))
    assert found.check == "job status" and "sacct has not answered" in found.text and "squeue" in found.mend


def test_programs_and_controller(fake):
    fake.loses("scancel")
    assert "scancel" in only_problem(look()).text
    fake.script("scancel", "exit 0")
    fake.fails("sinfo", "slurm_load_partitions: Unable to contact slurm controller")
    assert "Unable to contact slurm controller" in only_problem(look()).text


def test_what_slurm_itself_refuses_is_told_in_its_words(fake):
    fake.script("sbatch", 'case "$*" in *--gpus*) echo "sbatch: error: QOSMaxGRESPerUser" >&2; exit 1;; esac')
    found = only_problem(look())
    assert found.check == "submit a training job" and "QOSMaxGRESPerUser" in found.text
    assert "--gpus=h100:4" in found.mend and "--partition=gpu" in found.mend and "--account=lab" in found.mend


def test_where_asking_is_restricted_nothing_is_claimed(fake):
    fake.fails("sacctmgr", "You are not running a supported accounting_storage plugin")
    (found,) = slurm.check_account(Cluster(account="anything"))
    assert found.state == "NOT CHECKED" and "supported accounting_storage" in found.text
    fake.says("sacctmgr", "")
    (found,) = slurm.check_account(Cluster(account="anything"))
    assert found.state == "NOT CHECKED" and "restrict" in found.text


def test_where_the_head_runs(fake, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    found = only_problem(look())
    assert "inside SLURM job 77" in found.text and "login node" in found.mend
    monkeypatch.delenv("SLURM_JOB_ID")
    monkeypatch.delenv("TMUX")
    monkeypatch.delenv("STY", raising=False)
    (found,) = slurm.check_head()
    assert found.state == "WARNING" and "tmux" in found.mend


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("30:00", 30), ("2:00:00", 120), ("1-00:00:00", 1440), ("7-12:30:00", 10830), ("infinite", None), ("n/a", None)],
)
def test_time_limits(text, minutes):
    assert slurm.parse_minutes(text) == minutes


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("gpu:2", {"": 2}),
        ("gpu", {"": 1}),
        ("gpu:h100:4(S:0-1)", {"h100": 4}),
        ("gpu:4(S:0-1,3)", {"": 4}),
        ("gpu:2080:4", {"2080": 4}),
        ("shard:8,gpu:1g.5gb:7,gpu:a100:2", {"1g.5gb": 7, "a100": 2}),
        ("tmpdisk:100", {}),
    ],
)
def test_gpus(gres, gpus):
    assert slurm.parse_gpus(gres) == gpus


@pytest.mark.parametrize(
    ("state", "usable"), [("idle", True), ("mixed-", True), ("idle~", True), ("idle*", False), ("drained", False)]
)
def test_states(state, usable):
    (node,) = slurm.parse_nodes(f"cpu|up|infinite|8|(null)|{state}|c1\n")
    assert node.is_usable == usable
