"""The 19 corruptions on a batch of 64 images, against the same ones an image at a time in numpy, scipy and Pillow."""

import math

import numpy as np
import torch
from harness import Row, Section, interleaved, rate_row, spread
from inputs import blurred_classes
from reference import corruptions as peer

from robust3d.distortions.corruptions import FUNCTIONS, corrupt
from robust3d.distortions.parameters import PARAMETERS, set_for

IMAGES, SEVERITY, BAR = 64, 3, 5.0


def measure(toy: bool, repeats: int) -> Section:
    """Images a second of each corruption and the geometric mean of how many times faster; at 32, 64 and 224 px."""
    sizes, count = ((16,), 4) if toy else ((32, 64, 224), IMAGES)
    section = Section("corruptions", {"sizes_px": sizes, "images": count, "severity": SEVERITY})
    for size in sizes:
        images = (blurred_classes(count, 4, size, 1)[0] * 255).round().to(torch.uint8)
        alone = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in images]
        told = PARAMETERS[set_for(size)]
        rows = []
        for name in FUNCTIONS:
            rng = np.random.default_rng(0)

            def theirs(name=name, rng=rng, alone=alone, told=told):
                return [peer.corrupt(image, name, told[name][SEVERITY - 1], rng) for image in alone]

            def ours(name=name, images=images):
                return corrupt(images, name, SEVERITY, range(len(images)))

            slow = name == "glass_blur" and size > 100  # theirs takes a minute
            found = interleaved({"ours": ours, "theirs": theirs}, 1 if toy or slow else repeats, int(not slow))
            pair = found["ours"], found["theirs"]
            rows.append(rate_row(f"{name} at {size} px", "images/s", count, *pair, "an image at a time"))
        means = {key: math.exp(float(np.mean([math.log(getattr(row, key).median) for row in rows])))
                 for key in ("ours", "theirs", "ratio")}  # fmt: skip
        row = Row(f"geometric mean of {len(rows)} at {size} px", "images/s", *(spread([means[key]]) for key in means),
                  BAR, "an image at a time")  # fmt: skip
        section.rows += [row, *rows]
    return section
