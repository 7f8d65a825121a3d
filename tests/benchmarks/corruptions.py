"""The 19 corruptions on a batch of 64 images, against the same ones an image at a time in numpy, scipy and Pillow."""

import math

import numpy as np
import torch
from harness import Row, Section, interleaved, rate_row, spread
from inputs import blurred_classes
from reference import corruptions as peer

from robust3d.distortions.corruptions import FUNCTIONS, corrupt
from robust3d.distortions.parameters import PARAMETERS, set_for

IMAGES, SEVERITY, BAR, ALONE = 64, 3, 5.0, "an image at a time"


def measure(toy: bool, repeats: int) -> Section:
    """Images a second of each corruption and of all together; at 32, 64 and 224 px."""
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
            rows.append(rate_row(f"{name} at {size} px", "images/s", count, *pair, ALONE))
        pairs = [(count / row.ours.median, count / row.theirs.median) for row in rows]
        ours, theirs = (sum(seconds) for seconds in zip(*pairs, strict=True))
        typical = math.exp(sum(math.log(b / a) for a, b in pairs) / len(pairs))
        whole = spread([len(rows) * count / ours]), spread([len(rows) * count / theirs]), spread([theirs / ours])
        note = f"each as often; geometric mean of the single ratios {typical:.2f}"
        section.rows.append(Row(f"all {len(rows)} at {size} px", "images/s", *whole, BAR, ALONE, note))
        section.rows += rows
    return section
