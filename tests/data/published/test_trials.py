"""Published answers to cue-conflict pictures."""

from pathlib import Path

import pytest

from robust3d.data.cues import shares
from robust3d.data.published.trials import read_trials
from robust3d.errors import UserError

TRIALS = Path(__file__).parents[4] / "shared" / "data" / "cue_conflict_trials"
HEAD = "subj,session,trial,rt,object_response,category,condition,imagename"
GOOD = "anna,1,1,0.7,cat,cat,0,0001_s5n_s01_0_cat_00_cat7-bear1.png"


@pytest.mark.skipif(not TRIALS.is_dir(), reason="the published trials are not beside the project")
def test_the_published_networks_have_their_published_shares():
    table = read_trials(TRIALS)
    assert table.groupby("subject").size().to_dict() == {"alexnet": 1280, "googlenet": 1280}
    conflict = table[table["decision"] != "same cue"]
    assert conflict.groupby("subject").size().tolist() == [1200, 1200]
    for _, own in table.groupby("subject"):
        assert own.groupby("shape").size().eq(80).all() and own.groupby("texture").size().eq(80).all()
    found = {name: shares(own["decision"].tolist()) for name, own in table.groupby("subject")}
    assert (found["alexnet"]["shape"], found["alexnet"]["texture"]) == (283, 659 - 283)
    assert (found["googlenet"]["shape"], found["googlenet"]["texture"]) == (228, 731 - 228)
    assert all(one["decisions"] == 1200 for one in found.values())


def test_people_may_give_no_answer(tmp_path):
    lines = [HEAD, GOOD, GOOD.replace(",1,0.7,cat", ",2,NaN,na"), GOOD.replace(",1,0.7,cat", ",3,0.7,bear")]
    (tmp_path / "anna.csv").write_text("\ufeff" + "\r\n".join([*lines, ""]), encoding="utf-8")
    table = read_trials(tmp_path / "anna.csv")
    assert table["decision"].tolist() == ["shape", "neither", "texture"] and table["file"][0] == "cat7-bear1.png"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{HEAD}\n{GOOD}\n{GOOD.replace(',1,0.7,cat', ',2,1,wolf')}", r"a\.csv, line 3: object_response is 'wolf'"),
        (f"{HEAD}\n{GOOD.replace('bear1', 'wolf1')}", r"a\.csv, line 2: imagename: cat7-wolf1\.png"),
        (f"{HEAD}\n{GOOD.replace('cat7', 'dog7')}", r"line 2: category is 'cat', but .* shows the shape dog"),
        (f"{HEAD.replace('category', 'class')}\n{GOOD}", r"a\.csv: no column 'category'"),
        (HEAD, "no column"),
        (f"{HEAD}\n{GOOD}\n{GOOD}", "two trials 1 in session 1 of 'anna'"),
        (f'{HEAD}\n"{GOOD}', "comma-separated"),
        ("", "no column 'subj'"),
    ],
)
def test_a_bad_file_is_named(text, says, tmp_path):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=says):
        read_trials(tmp_path)


def test_a_folder_without_trials_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no \.csv file of trials"):
        read_trials(tmp_path)
    with pytest.raises(UserError, match=r"none\.csv"):
        read_trials(tmp_path / "none.csv")
