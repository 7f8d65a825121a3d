"""The counter-based random numbers: reproducible, independent of the batch, and distributed as they claim."""

import torch
from scipy import stats

from robust3d.attacks import noise

CPU = torch.device("cpu")


def test_a_number_depends_on_key_and_place_only():
    keys = noise.keys(0, "apgd-ce", 0, [5, 9, 2**40], CPU)
    numbers = noise.uniform(keys, 0, 50)
    assert torch.equal(noise.uniform(keys[[2, 0]], 10, 20), numbers[[2, 0], 10:30])
    for other in ((1, "apgd-ce", 0), (0, "apgd-t", 0), (0, "apgd-ce", 1)):
        assert not torch.equal(noise.uniform(noise.keys(*other, [5], CPU), 0, 50), numbers[:1])


def test_splitmix64_reference_values():
    """First outputs of Vigna's splitmix64.c for seed 0, top 24 bits."""
    reference = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    numbers = noise.uniform(torch.zeros(1, dtype=torch.int64), 0, 3)[0]
    assert numbers.tolist() == [(value >> 40) / 2**24 for value in reference]


def test_distributions():
    keys = noise.keys(3, "x", 0, range(200), CPU)
    uniform = noise.uniform(keys, 0, 500)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert stats.kstest(uniform.flatten().numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(noise.normal(keys, 0, 500).flatten().numpy(), "norm").pvalue > 1e-3
    between = torch.corrcoef(uniform)
    between.fill_diagonal_(0)
    assert between.abs().max() < 0.25
