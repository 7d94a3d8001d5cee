"""The parser, predict and fine-tune stages on a made-up project of a few small images."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from labelsplat.base import CaptureError, LabelsplatError, ParameterError, read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture import note_parser, orbit_camera, write_facescape, write_truth
from labelsplat.labels import CELEBAMASK, LAPA
from labelsplat.parsing import (
    calibrate_parser,
    calibration_file,
    create,
    finetune_round,
    load_checkpoint,
    load_predictions,
    load_temperature,
    predict_averaged,
    predict_round,
    prepared,
    save_checkpoint,
    standard_set,
    train_baseline,
)
from labelsplat.parsing import stage as module
from labelsplat.parsing.train import _History

SIZE = 32
PARSER = {
    "width": 8, "stem": "none", "steps": 8, "batch": 2, "learning_rate": 3e-3,
    "weight_decay": 0.01, "coarse_share": 0.5, "validate_every": 4, "threads": 1,
}  # fmt: skip
FINETUNE = {"steps": 2, "learning_rate": 1e-3, "batch": 2, "replay_batch": 2, "processes": 1}


@pytest.fixture(scope="module")
def _template(tmp_path_factory) -> Layout:
    """Squares in the colours of their classes, as pools and as a capture."""
    layout = Layout(tmp_path_factory.mktemp("stage").resolve())
    random = np.random.default_rng(0)
    poses = [(0, 0), (20, 0)]
    groups = {"standard": ["1/1_neutral", "2/1_neutral"], "validation": ["3/1_neutral"]}
    for subject in [*groups["standard"], *groups["validation"], "201/1_neutral"]:
        labels = np.zeros((2, SIZE, SIZE), np.uint8)
        labels[:, 4:28, 4:28] = np.repeat(random.permutation(18)[:12] + 1, 2)[:, None]
        images = CELEBAMASK.colours[labels]
        cameras = [orbit_camera(yaw, pitch, 1.15, 16.5, SIZE) for yaw, pitch in poses]
        pool = layout.capture if subject.startswith("201") else layout.standard_photos
        write_facescape(pool, subject, ["0", "1"], list(images), cameras)
        if pool != layout.capture:
            for name, maps in zip("01", labels, strict=True):
                write_truth(layout.standard_labels, subject, name, maps)
    write_json(layout.standard / "groups.json", groups)
    return layout


@pytest.fixture
def layout(_template, tmp_path) -> Layout:
    own = Layout(tmp_path.resolve())
    own.data.parent.mkdir(exist_ok=True)
    own.data.symlink_to(_template.data)
    return own


def trained(layout, **changes):
    log = train_baseline(layout, PARSER | changes, size=SIZE, seed=0, device="cpu")
    return log, layout.baseline.read_bytes()


def test_without_the_new_keys_all_is_as_with_their_defaults(layout):
    log, old = trained(layout)
    _, new = trained(layout, optimiser="adamw", schedule="cosine", ohem=0.0, ema=0.0)
    assert old == new
    assert load_checkpoint(layout.baseline).training.keys() == {
        "steps", "losses", "learning_rates", "validation_steps", "validation_miou", "kept_step",
    }  # fmt: skip
    times = read_json(layout.training_times("baseline"))
    assert times.keys() == {"seconds", "images_per_second"} and times["seconds"] >= 0
    assert log.validation_steps == [4, 8]


@pytest.mark.parametrize(
    "change",
    [{"optimiser": "sgd"}, {"schedule": "poly"}, {"ohem": 0.05}, {"ema": 0.9}],
    ids=lambda change: next(iter(change)),
)
def test_each_key_has_an_effect(layout, change):
    assert trained(layout)[1] != trained(layout, **change)[1]


def test_the_temperature_is_that_of_the_validation_heads(layout):
    trained(layout)
    net = load_checkpoint(layout.baseline).net
    expected = calibrate_parser(net, standard_set(layout, "validation", SIZE), device="cpu")
    found = load_temperature(layout.baseline)
    assert found.temperature == pytest.approx(expected.temperature, rel=1e-4)
    assert 0 < found.pixels == expected.pixels <= 2 * SIZE * SIZE


def test_a_killed_stage_goes_on(layout, monkeypatch):
    _, whole = trained(layout)
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 3)
    real, steps = _History.note, []

    def note(self, step, *args, **more):
        steps.append(step)
        if step == 5 and len(steps) == 5:
            raise KeyboardInterrupt
        return real(self, step, *args, **more)

    monkeypatch.setattr(_History, "note", note)
    with pytest.raises(KeyboardInterrupt):
        trained(layout)
    assert layout.baseline.read_bytes() == whole  # the last result stays until the next is whole
    assert (layout.checkpoints / "parser" / "baseline.pt").is_file()
    _, resumed = trained(layout)
    assert steps == [1, 2, 3, 4, 5, 4, 5, 6, 7, 8]
    assert resumed == whole
    assert not any(p.is_file() for p in layout.checkpoints.rglob("*"))


def test_predictions_follow_their_settings(layout):
    trained(layout)
    photos = prepared(layout, "201/1_neutral", SIZE)
    net = load_checkpoint(layout.baseline).net
    temperature = load_temperature(layout.baseline).temperature
    assert temperature != 1
    for settings, expected in [
        ({}, {}),
        ({"temperature": "off", "scales": [1.0]}, {}),
        ({"temperature": "fitted"}, {"temperature": temperature}),
        ({"scales": [0.5, 1.0]}, {"scales": (0.5, 1.0)}),
    ]:
        predict_round(
            layout, "r1", "models/baseline", size=SIZE, flip=True, device="cpu", **settings
        )
        path = layout.predictions("r1") / "baseline" / "201/1_neutral.npz"
        soft = predict_averaged(net, photos.images, flip=True, device="cpu", **expected)
        # Files hold a byte a class.
        np.testing.assert_allclose(load_predictions(path).probabilities, soft, atol=0.01)


def test_a_parser_of_the_users_own_predicts_first(layout, tmp_path):
    trained(layout, steps=4)
    own = tmp_path / "own.safetensors"
    net = create("unet", width=8, seed=3)
    save_checkpoint(own, net)

    def predicted(**more):
        settings = {"size": SIZE, "flip": True, "device": "cpu", **more}
        predict_round(layout, "r1", "models/baseline", **settings)
        file = layout.predictions("r1") / "baseline/201/1_neutral.npz"
        return load_predictions(file).probabilities

    ours, theirs = predicted(), predicted(parser="own.safetensors")
    photos = prepared(layout, "201/1_neutral", SIZE).images
    wanted = predict_averaged(net, photos, flip=True, device="cpu")
    assert np.abs(theirs - wanted).max() < 0.01 < np.abs(ours - theirs).max()
    # Parsers that a round has trained predict as they are.
    assert predicted(parser=str(own)).tobytes() == theirs.tobytes()
    save_checkpoint(own, create("unet", width=8, classes=11), vocabulary=LAPA)
    with pytest.raises(LabelsplatError, match=r"own\.safetensors.*lapa-11"):
        predicted(parser=str(own))


def test_a_changed_parser_of_the_users_own_is_seen(tmp_path):
    layout = Layout(tmp_path)

    def noted(parser):
        note_parser(layout, parser)
        return read_json(layout.parser_note)

    file = tmp_path / "own.onnx"
    with pytest.raises(CaptureError, match=r"predict\.parser is 'own\.onnx', which is no file"):
        note_parser(layout, "own.onnx")
    file.write_bytes(b"one")
    first = noted("own.onnx")
    assert noted("") == {} and first == noted(str(file)) and first.keys() == {"own.onnx"}
    file.with_suffix(".yaml").write_text("size: null")
    described = noted("own.onnx")
    file.write_bytes(b"two")
    assert len({str(note) for note in (first, described, noted("own.onnx"))}) == 3


def test_a_parser_without_a_temperature_is_named(layout):
    trained(layout)
    settings = {"size": SIZE, "flip": False, "device": "cpu"}
    calibration_file(layout.baseline).unlink()
    predict_round(layout, "r1", "models/baseline", **settings)
    with pytest.raises(LabelsplatError, match=r"baseline\.calibration\.json.*no fitted"):
        predict_round(layout, "r1", "models/baseline", temperature="fitted", **settings)
    with pytest.raises(ParameterError, match="off, fitted"):
        predict_round(layout, "r1", "models/baseline", temperature="hot", **settings)


def test_a_fine_tuned_parser_has_a_temperature_of_its_own(layout):
    trained(layout)
    finetune_round(layout, "control", ["replay_only"], FINETUNE, size=SIZE, seed=0, device="cpu")
    path = layout.model("control", "replay_only")
    net = load_checkpoint(path).net
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = calibrate_parser(net, standard_set(layout, "validation", SIZE), device="cpu")
    torch.set_num_threads(before)
    assert load_temperature(path) == expected
    assert expected != load_temperature(layout.baseline)


def test_more_photos_than_memory_are_refused(monkeypatch):
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: SimpleNamespace(available=2**30))
    module._must_fit(300, 512)
    with pytest.raises(LabelsplatError, match=r"labelled_images.*Take \d+ at most"):
        module._must_fit(24_000, 512)
