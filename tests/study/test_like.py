"""Entries that take the keys of others, after all layers have been merged."""

from pathlib import Path

import pytest
import yaml

from robust3d.errors import UserError
from robust3d.study.like import merge, resolve_likes
from robust3d.study.reading import read_study

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config.yaml"


def resolved(text: str) -> dict:
    return resolve_likes(yaml.safe_load(text))


def test_an_entry_takes_the_keys_of_another_and_its_own_win():
    found = resolved("""
        classifiers:
          b: {like: a, attack: {norm: L2}, decay: [9]}
          a: {epochs: 4, attack: {norm: Linf, steps: 7}, decay: [3, 4]}
          c: {like: b, epochs: 1}
        seed: 3
    """)
    assert found == {
        "classifiers": {
            "a": {"epochs": 4, "attack": {"norm": "Linf", "steps": 7}, "decay": [3, 4]},
            "b": {"epochs": 4, "attack": {"norm": "L2", "steps": 7}, "decay": [9]},
            "c": {"epochs": 1, "attack": {"norm": "L2", "steps": 7}, "decay": [9]},
        },
        "seed": 3,
    }


def test_deeper_in_an_entry_it_is_the_same_place_of_the_other():
    found = resolved("""
        families:
          a: {kind: x, render: {px: 32, samples: 8}, split: null}
          b: {kind: y, render: {like: a, samples: 2}, split: {like: a}}
          c: {kind: z, render: {like: b}}
          d: {like: b, kind: w, render: {like: a, px: 64}}
    """)["families"]
    assert found["b"] == {"kind": "y", "render": {"px": 32, "samples": 2}, "split": None}
    assert found["c"] == {"kind": "z", "render": {"px": 32, "samples": 2}}
    assert found["d"] == {"kind": "w", "render": {"px": 64, "samples": 8}, "split": None}


def test_nothing_changes_without_like_and_null_takes_it_away():
    values = {"a": {"b": {"c": [1, {"like": "x"}]}, "d": None}, "e": 1}
    assert resolve_likes(values) == values
    assert resolved("{a: {b: {like: null, x: 1}, c: {x: 2}}}") == {"a": {"b": {"x": 1}, "c": {"x": 2}}}


def test_it_is_the_merged_entry_that_counts():
    """Hand-computed: an overlay of `a` reaches `b`, one of `b` wins over it, and one may say who is like whom."""
    base = {"s": {"a": {"x": 1, "y": 1, "z": 1}, "b": {"like": "a", "y": 2}, "c": {"x": 7}}}
    overlay = {"s": {"a": {"x": 3, "y": 3}, "b": {"z": 4}, "c": {"like": "b"}}}
    found = resolve_likes(merge(base, overlay))["s"]
    assert found["b"] == {"x": 3, "y": 2, "z": 4}
    assert found["c"] == {"x": 7, "y": 2, "z": 4}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{s: {a: {like: b}, c: {}}}", "s.a.like: 'b' is not defined; allowed: c"),
        ("{s: {a: {like: b}}}", "s.a.like: 'b' is not defined; allowed: nothing yet"),
        ("{s: {a: {x: {like: 3}}, c: {}}}", "s.a.x.like: 3 is not defined; allowed: c"),
        ("{s: {a: {like: [c]}, c: {}}}", "s.a.like: ['c'] is not defined"),
        ("{s: {a: {like: a}}}", "s: a → a are like each other in a circle"),
        ("{s: {o: {like: a}, a: {like: b}, b: {x: {like: c}}, c: {like: a}}}", "s: a → b → c → a are like each other"),
        ("{s: {a: {x: {like: c}}, c: {y: 1}}}", "s.a.x.like: 'c' has no x"),
        ("{s: {a: {x: {y: {like: c}}}, c: {x: 1}}}", "s.a.x.y.like: 'c' has no x.y"),
        ("{s: {a: {x: {like: c, y: 1}}, c: {x: 5}}}", "s.a.x.like: 5 of c has no keys"),
    ],
)
def test_a_mistake_is_refused_by_name(text, says):
    with pytest.raises(UserError) as error:
        resolved(text)
    assert says in str(error.value)


def test_a_row_of_thousands_is_refused():
    entries = {f"e{i}": {"like": f"e{i + 1}"} for i in range(5000)} | {"e5000": {}}
    with pytest.raises(UserError, match="shorten the row"):
        resolve_likes({"s": entries})


def test_an_overlay_of_one_classifier_reaches_those_that_are_like_it(tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("""
        classifiers:
          linf: {epochs: 9, attack: {steps: 3}}
          standard: {epochs: 5}
        families: {geons: {render: {samples: 3}}}
        experiments: {black: {epsilons: {L2: [1.0, 4.0]}}}
    """)
    study = read_study([CONFIG, overlay])
    assert {key: study.classifiers[key].epochs for key in ("linf", "l2", "standard")} == {
        "linf": 9,
        "l2": 9,
        "standard": 5,
    }
    l2 = study.classifiers["l2"].attack
    assert (l2.steps, l2.norm, l2.epsilon, l2.step_size) == (3, "L2", 1.0, 0.2)
    assert study.families["categories"].render.samples == 3 and study.families["gallery"].render.samples == 64
    assert study.epsilons(study.experiments["textured"], "L2") == (1.0, 4.0)


def test_anchors_of_a_users_own_still_work(tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("""
        classifiers:
          mine: &mine {like: linf, epochs: 2}
          other: {<<: *mine, batch_size: 7}
    """)
    study = read_study([CONFIG, overlay])
    mine, other = study.classifiers["mine"], study.classifiers["other"]
    assert other == mine.model_copy(update={"batch_size": 7})
    assert mine == study.classifiers["linf"].model_copy(update={"epochs": 2})


def test_like_where_no_entries_are_is_an_unknown_key(tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("textures: {like: dtd}")
    with pytest.raises(UserError, match=r"textures\.like: unknown key"):
        read_study([CONFIG, overlay])
