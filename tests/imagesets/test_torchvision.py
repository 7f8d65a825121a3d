"""torchvision's data sets by name: splits, labels and pixels as torchvision gives them; no unchecked pickle is read."""

import hashlib
import inspect
import pickle

import numpy as np
import pytest
import torchvision
from image_files import colours, save
from torchvision import datasets

from robust3d.errors import UserError
from robust3d.imagesets.torchvision import DATA_SETS, Params, identity


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A CIFAR-10 of 30 training and 10 test images, published with these checksums."""
    folder = tmp_path / "data/cifar-10-batches-py"
    folder.mkdir(parents=True)
    names = [f"class{label}" for label in range(10)]

    def write(name: str, content: dict) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def batch(first: int, count: int) -> dict:
        images = np.stack([colours(first + i, 32).transpose(2, 0, 1).ravel() for i in range(count)])
        return {"data": images, "labels": [i % 10 for i in range(count)]}

    monkeypatch.setattr(datasets.CIFAR10, "train_list", [write(f"data_batch_{k}", batch(100 * k, 15)) for k in (1, 2)])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [write("test_batch", batch(900, 10))])
    file, md5 = write("batches.meta", {"label_names": names})
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": file, "key": "label_names", "md5": md5})
    return tmp_path / "data"


def test_a_named_data_set_is_read_as_torchvision_reads_it(cifar, make):
    made = make(kind="torchvision", name="CIFAR10", path=str(cifar), ratio=[2, 1, 1], resolution_px=32, fit="exact")
    train, val, test = (made.open(split) for split in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (20, 10, 10) and train.classes == tuple(f"class{k}" for k in range(10))
    for data, is_train in ((train, True), (val, True), (test, False)):
        reference = torchvision.datasets.CIFAR10(str(cifar), train=is_train)
        for place, instance in enumerate(data.rows["instance"]):
            image, label = reference[int(instance.split("/")[1])]
            assert np.array_equal(data.batch([place])[0].permute(1, 2, 0), np.asarray(image))
            assert data.labels[place] == label
    assert not set(train.rows["instance"]) & set(val.rows["instance"])
    assert "cifar-10-batches-py/data_batch_1" in made.sources[0].read_text()


def test_data_that_are_not_there_or_not_the_published_ones_are_named(cifar, make, tmp_path):
    with pytest.raises(UserError, match=r"no folder cifar-100-python in .*download=True"):
        make(kind="torchvision", name="CIFAR100", path=str(cifar), resolution_px=32)
    before = identity(Params(kind="torchvision", name="CIFAR10", path=str(cifar), resolution_px=32))
    with (cifar / "cifar-10-batches-py/test_batch").open("ab") as file:
        file.write(b"x")
    assert identity(Params(kind="torchvision", name="CIFAR10", path=str(cifar), resolution_px=32)) != before
    with pytest.raises(UserError, match="torchvision cannot read CIFAR10"):
        make(kind="torchvision", name="CIFAR10", path=str(cifar), resolution_px=32)


def test_pickles_that_nothing_vouches_for_are_refused(tmp_path, make):
    (tmp_path / "MNIST/processed").mkdir(parents=True)
    (tmp_path / "MNIST/processed/training.pt").write_bytes(b"x")
    with pytest.raises(UserError, match=r"training\.pt: a pickle, which could run code"):
        make(kind="torchvision", name="MNIST", path=str(tmp_path))


def test_one_without_splits_is_divided(tmp_path, make):
    for name in ("Forest", "River"):
        for number in range(10):
            save(tmp_path / "eurosat/2750" / name / f"{number}.jpg", colours(number))
    made = make(kind="torchvision", name="EuroSAT", path=str(tmp_path))
    assert [len(made.open(split)) for split in ("train", "val", "test")] == [16, 2, 2]
    assert made.open().classes == ("Forest", "River")


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_name_is_one_of_torchvisions_with_these_arguments(name):
    parameters = inspect.signature(getattr(datasets, name)).parameters
    for arguments in DATA_SETS[name][1].values():
        assert set(arguments) <= set(parameters) and "download" in parameters


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"'CIFAR11' is not among CIFAR10, .*kind: folder"):
        Params(kind="torchvision", name="CIFAR11", path="x", resolution_px=32)
