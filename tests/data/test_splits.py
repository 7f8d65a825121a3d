"""The split by instance id: counts, disjointness, independence of order, near-duplicates kept together."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from robust3d.data.params import SplitParams
from robust3d.data.splits import split_counts, split_instances
from robust3d.errors import UserError

SCALES = [f"{s / 10:.1f}" for s in range(5, 16)]
GEONS = [f"{x}_{y}_{z}" for x in SCALES for y in SCALES for z in SCALES]


def any_axis(instance: str) -> str:
    """Near-duplicates of a cuboid: the same scales in any order."""
    return "_".join(sorted(instance.split("_")))


def test_the_papers_split_of_1331_instances():
    parts = split_instances(GEONS, SplitParams(), seed=0)
    assert [len(parts[name]) for name in ("train", "val", "test")] == [1065, 133, 133]


@given(
    n=st.integers(3, 300),
    ratio=st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_parts_are_disjoint_complete_and_as_near_to_the_ratio_as_integers_allow(n, ratio, seed):
    ids = [f"i{k}" for k in range(n)]
    parts = split_instances(ids, SplitParams(ratio=ratio), seed)
    assert Counter(i for part in parts.values() for i in part) == Counter(ids)
    quotas = [Fraction(n * weight, sum(ratio)) for weight in ratio]
    for part, quota in zip(parts.values(), quotas, strict=True):
        assert part
        if min(quotas) >= 1:  # nothing had to be moved to an empty part
            assert abs(len(part) - quota) < 1


@given(
    sizes=st.lists(st.integers(1, 7), min_size=3, max_size=40),
    ratio=st.sampled_from([(8, 1, 1), (1, 1, 1), (2, 1, 5)]),
)
@settings(max_examples=60, deadline=None)
def test_orbit_groups_never_straddle_parts(sizes, ratio):
    ids = [f"{group}-{k}" for group, size in enumerate(sizes) for k in range(size)]
    parts = split_instances(ids, SplitParams(ratio=ratio, mode="orbit"), 0, lambda i: i.split("-")[0])
    assert sorted(i for part in parts.values() for i in part) == sorted(ids)
    homes = {(i.split("-")[0], name) for name, part in parts.items() for i in part}
    assert len(homes) == len(sizes)
    assert all(parts.values())


def test_orbit_split_of_the_geons_keeps_the_counts_and_parts_what_random_does_not():
    random = split_instances(GEONS, SplitParams(), 0)
    orbit = split_instances(GEONS, SplitParams(mode="orbit"), 0, any_axis)
    assert [len(part) for part in orbit.values()] == [1065, 133, 133]
    shared = {name: {any_axis(i) for i in random["train"]} & {any_axis(i) for i in random["test"]} for name in "r"}
    assert len(shared["r"]) > 50  # the paper's random split leaks near-duplicates
    assert not {any_axis(i) for i in orbit["train"]} & {any_axis(i) for i in orbit["test"] + orbit["val"]}
    assert not {any_axis(i) for i in orbit["val"]} & {any_axis(i) for i in orbit["test"]}


@pytest.mark.parametrize("mode", ["random", "orbit"])
def test_the_split_depends_on_the_set_of_ids_and_on_the_seed_only(mode):
    params = SplitParams(mode=mode)
    parts = split_instances(GEONS[:200], params, 3, any_axis)
    assert parts == split_instances(GEONS[199::-1], params, 3, any_axis)
    assert parts != split_instances(GEONS[:200], params, 4, any_axis)


def test_small_families_leave_no_part_empty():
    assert split_counts(3, (8, 1, 1)) == (1, 1, 1)
    assert split_counts(5, (8, 1, 1)) == (3, 1, 1)
    assert split_counts(27, (8, 1, 1)) == (21, 3, 3)


def test_refusals_name_the_key():
    with pytest.raises(UserError, match=r"split\.ratio.*2 item"):
        split_instances(["a", "b"], SplitParams(), 0)
    with pytest.raises(UserError, match=r"split\.mode.*2 group"):
        split_instances(["a", "b", "c", "d"], SplitParams(mode="orbit"), 0, lambda i: str(i in "ab"))
    with pytest.raises(ValidationError, match="ratio"):
        SplitParams(ratio=(8, 1, 0))
    with pytest.raises(ValueError, match="unique"):
        split_instances(["a", "b", "c", "a"], SplitParams(), 0)
