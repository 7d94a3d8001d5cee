"""The checks of the study's test as an experiment, small."""

from labelsplat.experiments import experiment_table
from labelsplat.experiments.study_checks import run_study_checks

SETTINGS = {"panels": 60, "raters": 8, "images": 8, "worth": 0.8}


def test_each_check_says_what_was_promised_and_what_came():
    found = run_study_checks(SETTINGS, seed=1)
    assert found == run_study_checks(SETTINGS, seed=1)
    assert [check["panels"] for check in found["checks"]] == [60, 60, 60, 60, 12, 60, 60, 60]
    null, gaps, some, few, whole, power, _, calculated = found["checks"]
    assert all(check["promised"] == 0.05 for check in (null, gaps, some, few, whole))
    assert gaps["answered"] < 1 and (some["people"], few["people"]) == (5, 2)
    assert power["rejected"] > null["rejected"] and calculated["raters"] != 8
    table = experiment_table({"commit": "", "seed": 1, **found})
    assert table.shape == (8, 2) and "[" in table.loc["a difference (SIMULATED)", "promised"]
    assert all(name.endswith("(SIMULATED)") for name in table.index)
