import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from configuration import at_test_scale

from robust3d.errors import UserError
from robust3d.study import numerics
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study

ROOT = Path(__file__).parents[2]
SHOW = """
import json, sys
from robust3d.study.numerics import PORTABLE, pin
pin(PORTABLE if sys.argv[1] == "portable" else {})
import numpy, torch
torch.set_num_threads(1)
from robust3d.provenance.machine import instruction_set
found = instruction_set()
generator = torch.Generator().manual_seed(0)
images, weights = torch.rand(16, 8, 16, 16, generator=generator), torch.rand(8, 8, 3, 3, generator=generator)
convolved = torch.nn.functional.conv2d(images, weights).sum().item()
print(json.dumps({**found, "numpy": bool(numpy.core._multiarray_umath.__cpu_features__["AVX512F"]), "sum": convolved}))
"""


def show(mode):
    told = subprocess.run([sys.executable, "-c", SHOW, mode], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_portable_pins_torch_onednn_and_numpy_to_avx2():
    found = show("portable")
    assert found["torch"] == "AVX2" and "AVX2" in found["onednn"] and "AVX-512" not in found["onednn"]
    assert not found["numpy"]


@pytest.mark.skipif(
    "avx512f" not in Path("/proc/cpuinfo").read_text(), reason="without AVX-512 both kinds of numerics are AVX2's"
)
def test_native_takes_what_the_processor_has():
    found = show("native")
    assert found["torch"] == "AVX512" and "AVX-512" in found["onednn"] and found["numpy"]


def test_it_is_too_late_once_numpy_is_there():
    import numpy  # noqa: F401

    before = dict(os.environ)
    with pytest.raises(UserError, match="loaded before its instructions could be pinned"):
        numerics.pin(numerics.PORTABLE)
    numerics.pin({})
    assert dict(os.environ) == before


def test_a_processor_without_avx2_is_refused(monkeypatch):
    monkeypatch.setattr(numerics, "_flags", lambda: {"sse2"})
    for name in ("numpy", "torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(UserError, match="needs a processor with AVX2"):
        numerics.pin(numerics.PORTABLE)


def test_portable_work_has_names_of_its_own_and_native_work_keeps_its():
    values = at_test_scale()
    plans = {mode: Plan(load_study(values | {"numerics": mode})) for mode in ("native", "portable")}
    digests = {mode: {(job.stage, job.label): job.digest for job in plan.every_job()} for mode, plan in plans.items()}
    assert digests["native"].keys() == digests["portable"].keys()
    assert not set(digests["native"].values()) & set(digests["portable"].values())
    spec = json.loads(plans["portable"].target("table4").spec)
    assert spec["numerics"] == numerics.PORTABLE
    assert "numerics" not in json.loads(plans["native"].target("table4").spec)
