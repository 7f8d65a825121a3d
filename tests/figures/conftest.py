from pathlib import Path

import pytest
from attempts import Attempts


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    return Attempts(tmp_path)
