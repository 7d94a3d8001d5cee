import json

import pytest
import torch
from safetensors.torch import save_file

from labelsplat.base import LabelsplatError
from labelsplat.labels import CELEBAMASK
from labelsplat.parsing import create, load_checkpoint, save_checkpoint

TRAINING = {"steps": 3, "seed": 1, "set": "standard"}


@pytest.fixture
def net():
    net = create("bisenet", width=8, stem="maxpool", mean=[0.4, 0.5, 0.6], seed=4)
    with torch.no_grad():
        net.train()(torch.rand(2, 3, 32, 32))  # the running statistics leave their start
    return net.eval()


@pytest.fixture
def file(tmp_path, net):
    path = tmp_path / "parser.safetensors"
    save_checkpoint(path, net, training=TRAINING)
    return path


def rewritten(path, net, **changes):
    description = {
        "format": 1,
        "architecture": "bisenet",
        "config": {"width": 8, "stem": "maxpool"},
        "vocabulary": "celebamask-19",
        "training": {},
    }
    weights = {key: value.contiguous() for key, value in net.state_dict().items()}
    save_file(weights, path, metadata={"labelsplat": json.dumps(description | changes)})


def test_round_trip(file, net):
    loaded = load_checkpoint(file)
    assert loaded.net.config == net.config
    assert loaded.architecture == "bisenet"
    assert loaded.vocabulary == CELEBAMASK
    assert loaded.training == TRAINING
    assert not loaded.net.training
    ours, theirs = net.state_dict(), loaded.net.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    images = torch.rand(1, 3, 48, 40)
    with torch.no_grad():
        torch.testing.assert_close(loaded.net(images), net(images), rtol=1e-4, atol=1e-5)


def test_same_parser_same_bytes(tmp_path, file, net):
    save_checkpoint(tmp_path / "again.safetensors", net, training=dict(reversed(TRAINING.items())))
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5, 0.999])
def test_truncated_file(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(LabelsplatError, match=r"parser\.safetensors.*truncated"):
        load_checkpoint(file)


def test_missing_and_foreign_files(tmp_path, net):
    with pytest.raises(LabelsplatError, match=r"nothing\.safetensors.*missing"):
        load_checkpoint(tmp_path / "nothing.safetensors")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(bytes(range(256)) * 9)
    with pytest.raises(LabelsplatError, match=r"photo\.jpg"):
        load_checkpoint(photo)
    bare = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(2)}, bare)
    with pytest.raises(LabelsplatError, match="no description"):
        load_checkpoint(bare)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "u-net"}, "u-net"),
        ({"vocabulary": "cats"}, "cats"),
        ({"format": 99}, "99"),
        ({"config": {"width": 8, "stem": "maxpool", "depth": 3}}, "depth"),
        ({"config": {"width": 16, "stem": "maxpool"}}, "do not fit"),
        ({"config": {"width": 8, "stem": "maxpool", "classes": 11}}, "do not fit"),
        ({"config": 3}, "no description"),
    ],
)
def test_wrong_descriptions(tmp_path, net, changes, message):
    path = tmp_path / "wrong.safetensors"
    rewritten(path, net, **changes)
    with pytest.raises(LabelsplatError, match=rf"wrong\.safetensors.*{message}"):
        load_checkpoint(path)


def test_a_parser_that_cannot_be_described_is_not_written(tmp_path):
    path = tmp_path / "parser.safetensors"
    with pytest.raises(LabelsplatError):
        save_checkpoint(path, torch.nn.Conv2d(3, 19, 1))
    with pytest.raises(LabelsplatError, match="11 classes"):
        save_checkpoint(path, create("bisenet", width=8, classes=11))
    assert not list(tmp_path.iterdir())
