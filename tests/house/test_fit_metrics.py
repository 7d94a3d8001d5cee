"""fit.json: what is gathered of evaluation, seconds, and a kept experiment."""

from __future__ import annotations

from labelsplat.report.finish import gather_fit

FOUND = {
    "mean": {"psnr": 30.0, "heldout": {"psnr": 22.0, "ssim": 0.8}},
    "subjects": {"a": {"psnr": 31.0}, "b": {"psnr": 29.0}},
}


def test_seconds_and_the_trial_are_put_beside_the_scores():
    found = gather_fit(FOUND, {"a": 10.0, "b": 14.0}, "cpu", 19.5)
    assert found["engine"] == "cpu"
    assert found["mean"] == {
        "psnr": 30.0,
        "seconds": 12.0,
        "heldout": {"psnr": 22.0, "ssim": 0.8, "psnr_trial_setting": 19.5},
    }
    assert found["subjects"]["b"] == {"psnr": 29.0, "seconds": 14.0}


def test_without_seconds_or_the_experiment_there_is_no_number():
    found = gather_fit(FOUND, {}, "gsplat", None)
    assert found["mean"]["seconds"] is None
    assert found["mean"]["heldout"]["psnr_trial_setting"] is None
    assert found["subjects"]["a"]["seconds"] is None
