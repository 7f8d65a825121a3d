"""Names of ImageNet's classes, and the sixteen that are made of them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from robust3d.data import imagenet
from robust3d.data.imagenet16 import CLASSES, MEMBERS, cues_of, decisions, probabilities
from robust3d.errors import UserError
from robust3d.evaluate.networks import open_network

STIMULI = Path(__file__).parents[3] / "shared" / "data" / "cue_conflict"


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("n01440764", 0),
        ("N01440764", 0),
        ("0", 0),
        ("0007", 7),
        ("999", 999),
        ("tench", 0),
        ("Tinca tinca", 0),
        ("tench, Tinca tinca", 0),
        ("great_white_shark", 2),
        ("Great White Shark", 2),
        ("toilet-tissue", 999),
    ],
)
def test_a_class_is_named_by_its_id_its_index_or_one_of_its_names(text, index):
    assert imagenet.class_index(text) == index


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("crane", r"several classes of ImageNet; take an id: n02012849 \(crane\), n03126707 \(crane\)"),
        ("maillot", "several classes"),
        ("1000", "no class of ImageNet"),
        ("tenhc", "is it 'tench'"),
        ("", "no class"),
        ("-1", "no class"),
        ("n01440765", "no class"),
        ("²", "no class"),
    ],
)
def test_names_of_none_and_of_several_are_refused(text, says):
    with pytest.raises(UserError, match=says):
        imagenet.class_index(text)


def test_the_lists_agree_with_timm():
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    assert list(imagenet.synsets()) == info.label_names() and len(imagenet.names()) == 1000
    for index in (0, 1, 134, 517, 999):
        assert info.index_to_description(index).startswith(imagenet.names()[index])


def test_sixteen_classes_have_207_members_each_in_one():
    members = [member for some in MEMBERS.values() for member in some]
    assert len(members) == len(set(members)) == 207 and set(members) <= set(range(1000))
    assert list(CLASSES) == sorted(CLASSES) and len(CLASSES) == 16
    assert {name: len(some) for name, some in MEMBERS.items() if len(some) > 8} == {"bird": 49, "dog": 109}
    # The names of the members say what they are, as far as a word tells.
    for word, name in (("tabby", "cat"), ("African elephant", "elephant"), ("airliner", "airplane"), ("beagle", "dog")):
        assert imagenet.class_index(word) in MEMBERS[name]
    assert {imagenet.names()[index].split(",")[0] for index in MEMBERS["chair"]} == {
        "barber chair", "folding chair", "rocking chair", "throne"
    }  # fmt: skip


def test_the_mean_decides_and_neither_the_sum_nor_the_largest():
    """One member of the single class `knife` against many weaker ones of `dog`, and one strong one of `cat`."""
    shares = torch.full((1, 1000), 1e-9)
    shares[0, list(MEMBERS["dog"])] = 0.5 / 109  # the largest sum
    shares[0, MEMBERS["cat"][0]] = 0.3  # the largest single one; mean 0.05
    shares[0, MEMBERS["knife"][0]] = 0.1  # the largest mean
    assert decisions(shares.log()) == ["knife"]
    found = probabilities(shares.log())[0]
    wanted = {"dog": 0.5 / 109, "cat": 0.05, "knife": 0.1}
    for name, value in wanted.items():
        assert math.isclose(found[CLASSES.index(name)], value / float(shares.sum()), rel_tol=1e-5)
    assert decisions(torch.zeros(1, 1000)) == ["airplane"]  # all equal: the first
    with pytest.raises(UserError, match="this classifier has 10"):
        decisions(torch.zeros(1, 10))


def test_names_of_pictures():
    assert cues_of("a/b/cat7-bear12.png") == ("cat", "bear") and cues_of("cat7-bear12.png").is_conflict
    assert not cues_of("cat7-cat12.png").is_conflict
    for name in ("cat7.png", "cat7-wolf1.png", "cat-bear.png", "xcat7-bear1-2.png"):
        with pytest.raises(UserError, match="named like"):
            cues_of(name)


@pytest.mark.slow
@pytest.mark.skipif(not STIMULI.is_dir(), reason="the stimuli are not beside the project")
def test_lite0_answers_as_measured_elsewhere():
    """Published stimuli at 224 px as they are; the numbers of another implementation, by either normalisation."""
    from robust3d.data.published.files import read_photograph

    def answers(part: str, normalisation: str) -> list[tuple[str, str]]:
        network = open_network(Path("efficientnet_lite0"), None, normalisation)
        files = sorted((STIMULI / part).rglob("*.png"))
        found = []
        for place in range(0, len(files), 32):
            pixels = np.stack([np.asarray(read_photograph(file)) for file in files[place : place + 32]])
            images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
            with torch.inference_mode():
                found += decisions(network.model(images))
        return [(file.stem, answer) for file, answer in zip(files, found, strict=True)]

    for normalisation, wanted in (("lite", (36, 129, 75)), ("imagenet", (37, 110, 93))):
        told = [(cues_of(name), answer) for name, answer in answers("style-transfer-preprocessed-512", normalisation)]
        conflicts = [(cues, answer) for cues, answer in told if cues.is_conflict]
        assert (len(told), len(conflicts)) == (256, 240)
        shape = sum(answer == cues.shape for cues, answer in conflicts)
        texture = sum(answer == cues.texture for cues, answer in conflicts)
        found = (shape, texture, 240 - shape - texture)
        assert all(abs(a - b) <= 1 for a, b in zip(found, wanted)), (normalisation, found)
    for part, right in (("filled-silhouettes", 81), ("edges", 57)):
        told = answers(part, "lite")
        assert len(told) == 160
        assert abs(sum(name.rstrip("0123456789") == answer for name, answer in told) - right) <= 1
