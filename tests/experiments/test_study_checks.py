"""The checks of the study's test as an experiment, small."""

from labelsplat.experiments import experiment_table
from labelsplat.experiments.study_checks import run_study_checks

SETTINGS = {"panels": 60, "raters": 8, "images": 8, "worth": 0.8}


def test_each_check_says_what_was_promised_and_what_came():
    found = run_study_checks(SETTINGS, seed=1)
    assert found == run_study_checks(SETTINGS, seed=1)
    assert len(found["checks"]) == 4 and all(check["panels"] == 60 for check in found["checks"])
    null, gaps, power, calculated = found["checks"]
    assert null["promised"] == gaps["promised"] == 0.05 and gaps["answered"] < 1
    assert power["rejected"] > null["rejected"] and calculated["raters"] != 8
    table = experiment_table({"commit": "", "seed": 1, **found})
    assert table.shape == (4, 2) and "[" in table.loc["a difference", "promised"]
