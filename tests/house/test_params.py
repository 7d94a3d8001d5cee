"""params.yaml: unknown keys, wrong values, rounds, profiles."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from labelsplat.base import ParameterError
from labelsplat.report import params

REPO = Path(__file__).resolve().parents[2]
DEFAULT = (params.PROFILES / "default.yaml").read_text(encoding="utf-8")


@pytest.fixture
def values() -> dict:
    return copy.deepcopy(params.default_params())


def _comments(text: str) -> list[str]:
    return [line.partition("#")[2].strip() for line in text.splitlines() if "#" in line]


def test_committed_parameters_are_the_default_profile():
    assert (REPO / "params.yaml").read_text(encoding="utf-8") == DEFAULT


def test_default_is_valid(values: dict):
    params.check_params(values)


def test_every_key_has_a_comment():
    for number, line in enumerate(DEFAULT.splitlines(), 1):
        is_section = line.rstrip().endswith(":")
        in_later_round = line.startswith("    ") and number > DEFAULT[: DEFAULT.index("r2:")].count(
            "\n"
        )
        if line.strip() and not line.lstrip().startswith("#") and not is_section:
            assert "#" in line or in_later_round, f"line {number}: {line}"


@pytest.mark.parametrize(
    ("section", "key", "nearest"),
    [
        ("refine", "powr", "refine.power"),
        ("parser", "learningrate", "parser.learning_rate"),
        ("capture", "gaussians", "fit.gaussians"),
        (None, "divice", "device"),
        (None, "parsers", "parser"),
    ],
)
def test_misspelt_key_names_the_nearest(values: dict, section, key: str, nearest: str):
    (values[section] if section else values)[key] = 1
    with pytest.raises(ParameterError, match=f"Did you mean {nearest}\\?") as caught:
        params.check_params(values, where="params.yaml")
    assert key in str(caught.value) and "params.yaml" in str(caught.value)


def test_misspelt_key_inside_any_round_is_found(values: dict):
    values["rounds"]["r2"]["arm"] = values["rounds"]["r2"].pop("arms")
    with pytest.raises(ParameterError, match=r"Did you mean rounds\.r2\.arms\?"):
        params.check_params(values)


def test_missing_key_is_named_with_its_default(values: dict):
    default = values["fit"].pop("gaussians")
    with pytest.raises(ParameterError, match=rf"fit\.gaussians is missing.*{default}"):
        params.check_params(values)


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("parser", "steps", 12.5, "a whole number"),
        ("parser", "steps", "many", "a whole number"),
        ("parser", "steps", True, "a whole number"),
        ("parser", "steps", 0, "above zero"),
        ("parser", "steps", -3, "above zero"),
        ("refine", "power", "8", "a number"),
        ("refine", "power", float("nan"), "zero or more"),
        ("refine", "floor", -0.1, "zero or more"),
        ("predict", "flip", 1, "true or false"),
        ("capture", "root", 3, "text"),
        ("capture", "subjects", "a,b", "a list"),
        ("capture", "subjects", [[1]], "a list"),
        ("capture", "subjects", [7], 'Quote it: "7", as listed, e.g. "1/1_neutral"'),
        ("capture", "heldout_views", 9, "from 0 to 8"),
        ("parser", "coarse_share", 1, "from 0 to 0.99"),
        ("parser", "batch", 1, "at least 2"),
        ("capture", "rig", "dome", "few, ring, phone, sparse"),
        ("fit", "hull_tolerance", 1.01, "from 0 to 1"),
        ("refine", "background_damping", 2, "from 0 to 1"),
        ("refine", "gate", 1.1, "from 0 to 1"),
        ("refine", "ignore_below", 50, "from 0 to 1"),
        ("capture", "source", "facescap", "Did you mean 'facescape'"),
        ("parser", "stem", None, "text"),
        ("parser", "optimiser", "adam", "Did you mean 'adamw'"),
        ("parser", "schedule", "cosin", "Did you mean 'cosine'"),
        ("parser", "ohem", 1.1, "from 0 to 1"),
        ("parser", "ema", 1.0, "from 0 to 0.9999"),
        ("predict", "scales", [], "a list of numbers"),
        ("predict", "scales", 1.0, "a list of numbers"),
        ("predict", "scales", [1.0, 0], "numbers above zero"),
        ("predict", "scales", [1.0, "2"], "a list of numbers"),
        ("predict", "temperature", False, "text"),
        ("predict", "temperature", "fited", "Did you mean 'fitted'"),
    ],
)
def test_wrong_value_says_what_is_expected(values: dict, section, key, value, expected: str):
    values[section][key] = value
    with pytest.raises(ParameterError, match=expected) as caught:
        params.check_params(values)
    assert f"{section}.{key}" in str(caught.value)


def test_whole_numbers_serve_where_fractions_may_stand(values: dict):
    values["refine"]["power"] = 8
    params.check_params(values)


def test_whole_numbers_serve_as_factors(values: dict):
    values["predict"]["scales"] = [1, 0.5]
    params.check_params(values)


def test_off_is_a_word_and_no_truth_value(values: dict):
    assert values["predict"]["temperature"] == "off"


def test_a_section_must_be_a_section(values: dict):
    values["fit"] = 3
    with pytest.raises(ParameterError, match="a section of keys"):
        params.check_params(values)


def test_a_third_round_is_one_entry(values: dict):
    values["rounds"]["r3"] = {
        "parsers": "models/r2",
        "splats": "r1",
        "arms": ["refined", "self_training"],
    }
    params.check_params(values)
    values["fits"].append("r3")
    values["rounds"]["r3"]["splats"] = "r3"
    params.check_params(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["rounds"]["r2"].update(splats="r9"), "fits no Gaussians"),
        (lambda v: v["rounds"]["r2"].update(parsers="models/r7"), r"rounds\.r2\.parsers"),
        (lambda v: v["rounds"]["r2"].update(parsers="models/r2"), r"rounds\.r2\.parsers"),
        (lambda v: v["rounds"]["r2"].update(arms=[]), "lists no arm"),
        (lambda v: v["rounds"]["r1"]["arms"].append("refned"), "Did you mean 'refined'"),
        (lambda v: v["rounds"]["r1"]["arms"].append("xyz"), "refined, refined_novel, self_"),
        (lambda v: v["rounds"]["r1"]["arms"].append("refined"), "twice"),
        (lambda v: v["rounds"]["r1"]["arms"].append("oracle"), r"stage of its own \(oracle\)"),
        (lambda v: v["rounds"]["r1"]["arms"].append("replay_only"), r"its own \(control\)"),
        (lambda v: v["rounds"]["r2"].update(arms=["refined"]), "last round, .* self_training"),
        (lambda v: v["rounds"]["r2"].update(arms=["self_training"]), "last round, .* refined"),
        (lambda v: v["rounds"]["r1"].update(arms=["refined"]), "r1 does not train self_training"),
        (lambda v: v["rounds"]["r1"].update(arms=["self_training"]), "r1 does not train refined"),
        (lambda v: v["refine"].update(novel_views=0), r"refine\.novel_views is 0"),
        (
            lambda v: v["rounds"].update(
                r3=v["rounds"]["r2"] | {"parsers": "models/r4"}, r4=v["rounds"]["r2"]
            ),
            r"rounds\.r3\.parsers",
        ),
        (
            lambda v: (
                v["rounds"].update(r3=v["rounds"]["r2"]),
                v["fits"].append("r3"),
                v["rounds"].update(r2=v["rounds"]["r2"] | {"splats": "r3"}),
            ),
            r"rounds\.r2\.splats is 'r3', but that round comes later",
        ),
        (lambda v: v["rounds"].update({"Round 3": v["rounds"]["r2"]}), "cannot name a round"),
        (lambda v: v["rounds"].update({"oracle": v["rounds"]["r2"]}), "cannot name a round"),
        (lambda v: v["rounds"].update({3: v["rounds"]["r2"]}), "cannot name a round"),
        (lambda v: v["rounds"].pop("r1"), "first round"),
        (lambda v: v["fits"].append("r5"), "is no round"),
        (lambda v: v.update(rounds={}), "one entry a round"),
    ],
)
def test_rounds_that_do_not_fit_together(values: dict, change, message: str):
    change(values)
    with pytest.raises(ParameterError, match=message):
        params.check_params(values)


def test_sets_may_not_share_heads(values: dict):
    values["capture"]["standard_identities"] = 500
    with pytest.raises(ParameterError, match="share heads"):
        params.check_params(values)


@pytest.mark.parametrize(
    "text",
    ["seed: [1\n", "", "- 1\n", "seed: 1\nseed: 2\n"],
    ids=["open", "empty", "list", "twice"],
)
def test_broken_file_is_named(tmp_path: Path, text: str):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=r"params\.yaml"):
        params.load_params(path)


def test_missing_file_names_the_remedy(tmp_path: Path):
    with pytest.raises(ParameterError, match="make profile"):
        params.load_params(tmp_path / "params.yaml")


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path):
    """YAML 1.2: other readers take 1e-3 for text and no for false."""
    path = tmp_path / "params.yaml"
    path.write_text("a: 1e-3\nb: 2.0e-3\nc: no\n", encoding="utf-8")
    assert params.read_yaml(path) == {"a": 0.001, "b": 0.002, "c": "no"}


def _flat(values: dict, prefix: str = "") -> dict:
    """Values by dotted name; lists as text."""
    out = {}
    for key, value in values.items():
        inner = isinstance(value, dict)
        out |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": str(value)}
    return out


@pytest.mark.parametrize("name", ["quick", "default", "hard", "paper"])
def test_profile_is_full_and_keeps_every_comment(tmp_path: Path, name: str):
    path = tmp_path / "params.yaml"
    params.write_profile(name, path)
    text = path.read_text(encoding="utf-8")
    values = params.load_params(path)
    assert _comments(text) == _comments(DEFAULT)
    changes = params.read_yaml(params.PROFILES / f"{name}.yaml")
    changes.pop("rounds", None)
    assert _flat(changes).items() <= _flat(values).items()
    default = params.default_params()
    assert values["refine"]["power"] == default["refine"]["power"]
    assert values["rounds"].keys() == default["rounds"].keys()


def test_profiles_exist_and_the_default_is_exact():
    assert {"quick", "default", "paper"} <= set(params.profile_names())
    assert params.profile_text("default") == DEFAULT


def test_paper_profile_is_the_papers_scale():
    values = YAML(typ="safe").load(io.StringIO(params.profile_text("paper")))
    assert (values["device"], values["capture"]["size"]) == ("cuda", 512)
    assert values["capture"]["capture_identities"] == 7


def test_unknown_profile_names_the_nearest():
    with pytest.raises(ParameterError, match=r"Did you mean quick\?"):
        params.profile_text("quik")
    with pytest.raises(ParameterError, match=r"default\|hard\|paper\|quick"):
        params.profile_text("")


def test_profile_with_a_misspelt_key_is_refused(tmp_path: Path, monkeypatch):
    (tmp_path / "default.yaml").write_text(DEFAULT, encoding="utf-8")
    (tmp_path / "odd.yaml").write_text("fit:\n  gausians: 3\n", encoding="utf-8")
    monkeypatch.setattr(params, "PROFILES", tmp_path)
    with pytest.raises(ParameterError, match=r"Did you mean fit\.gaussians"):
        params.profile_text("odd")
