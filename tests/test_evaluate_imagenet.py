"""`robust3d evaluate efficientnet_lite0`: a published classifier on pictures of one's own, in one command."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.params import AutoAttackParams
from robust3d.attacks.parts import evaluate_in_parts
from robust3d.evaluate.duration import Passes, expected, in_words
from robust3d.evaluate.networks import open_network

STIMULI = Path(__file__).parents[2] / "shared" / "data" / "cue_conflict" / "filled-silhouettes"


def pictures(folder: Path, count: int) -> None:
    """Coloured blobs as JPEGs of several sizes."""
    for number in range(count):
        draws = np.random.default_rng(number)
        small = Image.fromarray(draws.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        folder.mkdir(parents=True, exist_ok=True)
        small.resize((250 + 40 * number, 260), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=92)


def command(*given, **more):
    return subprocess.run(
        [sys.executable, "-m", "robust3d.cli", "evaluate", *map(str, given)], capture_output=True, text=True, **more
    )


def test_one_command_attacks_pictures_without_labels(tmp_path):
    pictures(tmp_path / "mine", 2)
    outcomes = tmp_path / "o.parquet"
    done = command("efficientnet_lite0", "--images", tmp_path / "mine", "--json", "--outcomes", outcomes)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["network"]["published"] == "the EfficientNet-Lite0 of TensorFlow" and told["images"]["number"] == 2
    assert (told["network"]["normalisation"], told["network"]["classes"]) == ("lite", 1000)
    assert (told["images"]["preparation"]["resize_px"], told["images"]["preparation"]["resolution_px"]) == (256, 224)
    assert told["clean"]["accuracy"] is None and "own answer" in told["images"]["labels"]
    (robust,) = told["robust"]
    assert robust["budget"] == "8/255" and robust["accuracy"] == 0.0 and robust["interval"]["high"] > 0.5
    before, _, after = done.stderr.partition("duration ")
    assert "preparation            shorter side to 256 px, then the centre 224 x 224 px" in before
    assert "seconds to" in after and "clean                  no labels" in after
    frame = pd.read_parquet(outcomes)
    assert frame["file"].tolist() == ["0.jpg", "1.jpg"] and (frame["label"] == frame["prediction"]).all()


def test_parts_change_nothing_but_what_memory_holds():
    """Of the same images: the outcomes, flags that are judged over all, and the costs of the attacks."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 6 * 6, 5)).eval()
    images = torch.rand(11, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    labels = model(images).argmax(1)
    labels[3] = (labels[3] + 1) % 5
    params = AutoAttackParams(epsilons=("1/255", "4/255"), iterations=5, square_queries=20)
    whole = evaluate(model, images, labels, params)
    parts = evaluate_in_parts(model, lambda a, b: images[a:b], 11, labels, params, part=4)
    pd.testing.assert_frame_equal(parts.to_frame(), whole.to_frame(), rtol=1e-5)
    assert parts.flags == whole.flags and parts.sanity_accuracy == whole.sanity_accuracy
    assert parts.cost["square"].forwards == whole.cost["square"].forwards
    away = evaluate_in_parts(model, lambda a, b: images[a:b], 11, None, params, part=4)
    assert away.clean_accuracy == 1 and away.labels.tolist() == whole.predictions.tolist()


def test_what_is_invalid_is_judged_over_all_parts():
    """One of 150 images has no gradient: in a part of ten it would be a tenth that is robust at the huge budget."""

    class Odd(torch.nn.Module):
        def forward(self, x):
            flat = x.flatten(1)
            moved = torch.stack([flat.sum(1), -flat.sum(1) + 13], 1)
            fixed = torch.tensor([1.0, 0.0])
            return torch.where((flat[:, :1] == 0.25) & (flat[:, 1:2] == 0.75), fixed + 0 * moved, moved)

    images = torch.rand(150, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    model = Odd().eval()
    params = AutoAttackParams(attacks=("apgd-ce",), iterations=3, epsilons=("0.5",))
    parts = evaluate_in_parts(model, lambda a, b: images[a:b], 150, None, params, part=10)
    whole = evaluate(model, images, model(images).argmax(1), params)
    assert parts.flags.invalid == whole.flags.invalid


def test_the_expected_duration_counts_every_pass():
    """By hand: two images, one budget, ten steps, three targets, 50 queries; 1 s forward, 3 s both ways."""
    params = AutoAttackParams(iterations=10, square_queries=50, target_classes=3, batch_size=2)
    least, most = expected(Passes(1.0, 3.0), 2, 1, 1000, params)
    before = 24 * 2 * 3
    assert least == before + 2 * (7 + 2 * 3)
    assert most == before + 2 * (7 + 11 * 3 + 3 * 11 * 3 + 3 * 10 * 4 + 50 + 3 * 3)
    official = params.model_copy(update={"backend": "pyautoattack"})
    assert expected(Passes(1.0, 3.0), 2, 1, 1000, official)[0] == 2 * (7 + 33)
    assert [in_words(s) for s in (0.2, 90, 600, 8_000, 200_000)] == [
        "1 seconds", "90 seconds", "10 minutes", "2.2 hours", "2.3 days"
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not STIMULI.is_dir(), reason="the pictures are not beside the project")
def test_outcomes_on_16_pictures_are_those_of_the_official_attack_code():
    """Budgets at which some pictures fall and others do not; few steps, both with Croce's loss and steps."""
    from robust3d.data.published.files import read_photograph

    model = open_network(Path("efficientnet_lite0"), None, None).model
    files = sorted(STIMULI.rglob("*.png"))[::10]
    pixels = np.stack([np.asarray(read_photograph(file)) for file in files])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255
    with torch.no_grad():
        labels = model(images).argmax(1)
    assert len(images) == 16
    found = {}
    for backend in ("own", "pyautoattack"):
        params = AutoAttackParams(
            epsilons=("0.0005", "0.002"), attacks=("apgd-ce", "apgd-t", "fab-t"), iterations=6, target_classes=2,
            backend=backend, batch_size=16,
        )  # fmt: skip
        found[backend] = evaluate(model, images, labels, params)
    own, official = found["own"].robust, found["pyautoattack"].robust
    assert 0 < official.sum() < official.size
    assert np.abs(own.sum(0).astype(int) - official.sum(0)).max() <= 1 and (own != official).sum() <= 2
