"""What a job ran on: host, processor, the instruction sets that its libraries used, GPU."""

import ctypes
import os
import platform
import re
import sys
import tempfile
from pathlib import Path
from typing import Any


def describe_machine(threads: int) -> dict[str, Any]:
    """The part `host` of a record; what was not loaded by the job is None."""
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "processor": processor(),
        "instruction_set": instruction_set(),
        "threads": threads,
        "gpu": _gpu(),
    }


def processor() -> str:
    """The processor's model; where the name is a whole family's, as on virtual machines, with its numbers."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(re.findall(r"^([^\t:]+?)\s*:\s*(.+)$", text.split("\n\n")[0], flags=re.MULTILINE))
    numbers = [f"{word} {facts[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in facts]
    return ", ".join([facts.get("model name", platform.machine()), *numbers])


def instruction_set() -> dict[str, str] | None:
    """What torch and oneDNN compute with in this process; None where torch is not loaded."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return {"torch": str(torch.backends.cpu.get_cpu_capability()), "onednn": _onednn(torch)}


def _onednn(torch: Any) -> str:
    """OneDNN names its instruction set only in what it prints about a convolution."""
    if not torch.backends.mkldnn.is_available():
        return "none"
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        stdout = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with torch.no_grad(), torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                torch.nn.functional.conv2d(torch.ones(16, 8, 16, 16), torch.ones(8, 8, 3, 3))
            ctypes.CDLL(None).fflush(None)
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
        file.seek(0)
        found = re.search(rb"cpu,isa:([^\n]*)", file.read())
    return found.group(1).decode(errors="replace").strip() if found else "unknown"


def _gpu() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())
