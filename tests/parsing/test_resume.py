"""A training that was killed ends as one that was not."""

import pytest
import torch
from torch import nn

from labelsplat.base import ParameterError
from labelsplat.parsing import Augmentation, Ohem, create, resume, train
from labelsplat.parsing.train import _History

QUIET = {"progress": False, "threads": 1, "device": "cpu"}
PLAIN = {"steps": 14, "batch": 3, "learning_rate": 0.01}
ALL = PLAIN | {
    "optimiser": "sgd", "schedule": "poly", "ema": 0.7, "ohem": Ohem(), "coarse_share": 0.5,
    "keep": "best", "validate_every": 3, "replay_batch": 2,
    "augmentation": Augmentation(zoom_out=0.5, low_resolution=0.5, occlusion=0.5),
}  # fmt: skip


class Killed(Exception):
    pass


@pytest.fixture
def kill(monkeypatch):
    """Runs a function, and ends the training in it right after so many steps."""
    real = _History.note

    def after(steps, function):
        def note(self, step, *args, **more):
            if step > steps:
                raise Killed
            return real(self, step, *args, **more)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(_History, "note", note)
            function()

    return after


class Dropping(nn.Module):
    """A parser that draws random numbers of its own."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.Dropout(0.5), nn.ReLU())
        self.out = nn.Conv2d(16, 19, 1)

    def forward(self, images):
        return self.out(self.layers(images))


def made(kind):
    if kind == "bisenet":
        return create("bisenet", width=8)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Dropping()


@pytest.mark.parametrize(
    ("kind", "settings", "killed_at"),
    # Before and after the images change their size, with losses not yet noted, and a step on.
    [("bisenet", PLAIN, 9), ("bisenet", ALL, 6), ("bisenet", ALL, 11), ("dropping", PLAIN, 5)],
)
def test_resumed_equals_uninterrupted(small_set, tmp_path, kill, kind, settings, killed_at):
    sets = {"validation": small_set.take(range(8, 12))}
    if "replay_batch" in settings:
        sets["replay"] = small_set.take(range(5, 8))

    def run(**more):
        net = made(kind)
        log = train(net, small_set.take(range(5)), **settings, **sets, **more, **QUIET)
        return net.state_dict(), log

    path = tmp_path / "here" / "parser.pt"
    kill(killed_at, lambda: run(checkpoint=path, every=5))
    assert torch.load(path, weights_only=True)["step"] == killed_at // 5 * 5
    (resumed, log), (whole, other) = run(checkpoint=path, every=5), run()
    assert not path.exists() and not list(path.parent.iterdir())
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    for name in ("steps", "losses", "learning_rates", "validation_steps", "validation_miou"):
        assert getattr(log, name) == getattr(other, name)
    assert log.kept_step == other.kept_step


def test_only_its_own_checkpoint_is_gone_on_from(small_set, tmp_path, caplog, kill, monkeypatch):
    path = tmp_path / "parser.pt"

    def run(seed=0, data=small_set, width=8, **settings):
        net = create("bisenet", width=width)
        train(
            net, data, steps=6, batch=2, seed=seed, checkpoint=path, **{"every": 2} | settings,
            **QUIET,
        )  # fmt: skip
        return net.state_dict()

    plain = run()
    others = [
        lambda: run(seed=1),
        lambda: run(width=4),
        lambda: run(learning_rate=0.01),
        lambda: run(ohem=Ohem(0.5)),
        lambda: run(data=small_set.take(range(11))),
        lambda: run(replay=small_set),
    ]
    for other in others:
        kill(4, other)
        assert path.is_file()
        caplog.clear()
        again = run()
        assert "starts anew" in caplog.text
        assert all(torch.equal(plain[name], again[name]) for name in plain)
    with monkeypatch.context() as patch:
        patch.setattr(resume, "code_digest", lambda *_: "of yesterday")
        kill(4, run)
    for spoil in (lambda: None, lambda: path.write_bytes(b"nothing")):
        spoil()
        caplog.clear()
        run()
        assert "starts anew" in caplog.text
        path.touch()
    path.unlink()
    # How often it is written changes nothing that comes out.
    kill(4, lambda: run(every=3))
    caplog.clear()
    again = run()
    assert caplog.text == "" and all(torch.equal(plain[name], again[name]) for name in plain)


def test_seconds_of_earlier_calls_count(small_set, tmp_path, kill):
    path = tmp_path / "parser.pt"

    def run():
        net = create("bisenet", width=4)
        return train(net, small_set, steps=4, batch=2, checkpoint=path, every=2, **QUIET)

    kill(2, run)
    state = torch.load(path, weights_only=True)
    assert state["seconds"] > 0
    state["seconds"] = 1e6
    torch.save(state, path)
    log = run()
    assert 1e6 < log.seconds < 1.01e6
    assert log.images_per_second == pytest.approx(8e-6, rel=0.01)


def test_the_callers_random_numbers_are_left_alone(small_set):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(made("dropping"), small_set, steps=2, batch=2, **QUIET)
    assert torch.equal(torch.rand(3), expected)


def test_a_negative_interval_is_an_error(small_set, tmp_path):
    with pytest.raises(ParameterError, match="every is -1"):
        train(made("dropping"), small_set, steps=2, checkpoint=tmp_path / "a.pt", every=-1, **QUIET)
