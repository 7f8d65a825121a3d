"""What is printed while Snakemake runs (`snakemake_logger_plugin_robust3d`)."""

import io
import logging
from types import SimpleNamespace

import pytest
from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

import snakemake_logger_plugin_robust3d as plugin

JOB = "painted-l2-resnet18-s1-0123456789ab"


def handler(stream, **settings):
    common = SimpleNamespace(stdout=False, nocolor=True, dryrun=False, verbose=False)
    common.__dict__.update(settings)
    made = plugin.LogHandler(common, None)
    made.setFormatter(DefaultFormatter())
    made.screen.setStream(stream)
    return made


def say(made, text=None, event=None, level=logging.INFO, **values):
    record = logging.LogRecord("snakemake", level, "", 0, text, None, None)
    record.__dict__.update(values, **({"event": event} if event else {}))
    made.handle(record)


def start(made, jobid=7, rule="train_classifier", **wildcards):
    facts = {"rule_msg": "a message", "reason": "why", "indent": False}
    say(made, event=LogEvent.JOB_INFO, jobid=jobid, rule_name=rule, wildcards=wildcards or {"job": JOB}, **facts)


@pytest.fixture
def printed(monkeypatch):
    monkeypatch.setattr("robust3d.provenance.status.time_left", lambda just_ended: "the rest takes about 3 min")
    stream = io.StringIO()
    stream.lines = lambda: stream.getvalue().splitlines()
    return stream


def test_snakemake_finds_the_plugin_by_the_name_in_the_profiles():
    assert LoggerPluginRegistry().get_plugin("robust3d").log_handler is plugin.LogHandler


def test_a_finished_job_is_one_line_with_its_count_and_name(printed):
    made = handler(printed)
    say(made, "Select jobs to execute...")
    say(made, "Execute 1 jobs...", LogEvent.JOB_STARTED)
    start(made)
    say(made, "Finished jobid: 7", LogEvent.JOB_FINISHED, job_id=7)
    say(made, event=LogEvent.PROGRESS, done=3, total=120)
    (line,) = printed.lines()
    assert line[8:] == "    3 of 120  train classifier painted-l2-resnet18-s1 (0 s); the rest takes about 3 min"


def test_a_submission_is_printed(printed):
    made = handler(printed)
    start(made)
    say(made, "Job 7 has been submitted with SLURM jobid 3 (log: x).")
    assert printed.lines() == ["Job 7 has been submitted with SLURM jobid 3 (log: x)."]


def test_the_time_left_is_not_said_with_each_job(printed):
    made = handler(printed)
    for jobid in (1, 2):
        start(made, jobid, "publish_table", job="table4")
        say(made, event=LogEvent.JOB_FINISHED, job_id=jobid)
        say(made, event=LogEvent.PROGRESS, done=jobid, total=2)
    assert ["rest" in line for line in printed.lines()] == [True, False]


def test_a_failure_names_the_job_and_where_to_look(printed):
    made = handler(printed)
    start(made)
    facts = {"log": ["logs/a.log"], "aux": {"slurm_jobid": "31", "empty": None}}
    say(made, "Error", LogEvent.JOB_ERROR, logging.ERROR, jobid=7, rule_name="train_classifier", **facts)
    first, *rest = printed.lines()
    assert first[10:] == "FAILED  train classifier painted-l2-resnet18-s1"
    assert rest == ["    slurm_jobid: 31", "    log: logs/a.log"]


def test_of_a_failed_command_the_exit_status_is_printed_and_of_another_error_all(printed):
    made = handler(printed)
    text = (
        "RuleException:\nCalledProcessError in file x, line 1:\nCommand 'a\nlong\none' returned non-zero exit status 2."
    )
    say(made, text, LogEvent.ERROR, logging.ERROR, exception="RuleException")
    say(made, "WorkflowError:\nsomething else", LogEvent.ERROR, logging.ERROR, exception="WorkflowError")
    first, *rest = printed.lines()
    assert first[10:] == "a job returned non-zero exit status 2." and rest == ["WorkflowError:", "something else"]


def test_warnings_and_unknown_lines_are_printed(printed):
    made = handler(printed)
    say(made, "Using shell: odd, but a warning", level=logging.WARNING)
    say(made, "Something that a later Snakemake says")
    assert printed.lines() == ["Using shell: odd, but a warning", "Something that a later Snakemake says"]


@pytest.mark.parametrize("setting", ["dryrun", "verbose"])
def test_a_dry_run_and_a_verbose_run_print_what_snakemake_prints(printed, setting):
    made = handler(printed, **{setting: True})
    say(made, "Select jobs to execute...")
    assert printed.lines() == ["Select jobs to execute..."]


def test_a_dry_run_prints_each_job(printed):
    made = handler(printed, dryrun=True)
    start(made)
    assert any("a message" in line for line in printed.lines())
