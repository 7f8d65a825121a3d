import json

import portable
import pytest

from robust3d.provenance.machine import processor


@pytest.mark.slow
def test_portable_numerics_give_the_bytes_of_every_processor_that_is_named(tmp_path):
    kept = json.loads(portable.FILE.read_text())
    found = portable.measure(tmp_path / "project")
    different = [name for name in kept["digests"] if found.get(name) != kept["digests"][name]]
    assert not different and found.keys() == kept["digests"].keys(), (
        f"{', '.join(different)}: other bytes here ({processor()}) than on {', '.join(kept['processors'])}; "
        "see tests/workflow/portable.py"
    )
