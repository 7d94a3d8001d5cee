"""BiSeNet files of the public face-parsing release: names, shapes, order, arithmetic."""

import collections
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from labelsplat.base import LabelsplatError
from labelsplat.labels import CELEBAMASK, CELEBAMASK_OFFICIAL, CELEBAMASK_SEGFACE, LAPA
from labelsplat.parsing import (
    BiSeNet,
    BiSeNetConfig,
    load_checkpoint,
    load_parser,
    load_release,
    save_checkpoint,
    working_size,
)

# Every key and shape of the public model: zllrunning/face-parsing.PyTorch, model.py, on the
# ResNet-18 of torchvision's names without its classifier.
KEYS = json.loads((Path(__file__).parent / "release_keys.json").read_text(encoding="utf-8"))
HEADS = [f"{head}.conv_out.weight" for head in ("conv_out", "conv_out16", "conv_out32")]


def weights(width=8, classes=19, seed=0):
    """Random weights of the release's names, narrower by 64 / width."""
    random = torch.Generator().manual_seed(seed)
    out = collections.OrderedDict()
    for key, shape in KEYS.items():
        if not shape:
            out[key] = torch.tensor(80000)
            continue
        small = [n if n in (1, 3, 7) else classes if n == 19 else n * width // 64 for n in shape]
        spread = (small[1] * small[2] * small[3]) ** -0.5 if len(small) == 4 else 0.2
        out[key] = torch.randn(small, generator=random) * spread
        if key.endswith(("running_var", "bn1.weight", "bn2.weight", "bn.weight")):
            out[key] = 1 + out[key].abs()
    return out


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "79999_iter.pth"
    torch.save(weights(), path)
    return path


def released(w, x):
    """The release's forward pass, written down once more from its description."""

    def bn(x, name):
        stats = (w[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *stats)

    def conv(x, name, stride=1):
        kernel = w[f"{name}.weight"]
        return F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    def unit(x, name):
        return F.relu(bn(conv(x, f"{name}.conv"), f"{name}.bn"))

    def refined(x, name):
        x = unit(x, f"{name}.conv")
        gate = bn(conv(F.adaptive_avg_pool2d(x, 1), f"{name}.conv_atten"), f"{name}.bn_atten")
        return x * torch.sigmoid(gate)

    x = F.max_pool2d(F.relu(bn(conv(x, "cp.resnet.conv1", 2), "cp.resnet.bn1")), 3, 2, 1)
    features = []
    for layer in range(1, 5):
        for block in (0, 1):
            name = f"cp.resnet.layer{layer}.{block}"
            stride = 2 if layer > 1 and not block else 1
            y = F.relu(bn(conv(x, f"{name}.conv1", stride), f"{name}.bn1"))
            y = bn(conv(y, f"{name}.conv2"), f"{name}.bn2")
            if stride > 1:
                x = bn(conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = F.relu(x + y)
        features.append(x)
    _, at8, at16, at32 = features
    context = refined(at32, "cp.arm32") + unit(F.adaptive_avg_pool2d(at32, 1), "cp.conv_avg")
    context = unit(F.interpolate(context, scale_factor=2), "cp.conv_head32")
    context = refined(at16, "cp.arm16") + context
    context = unit(F.interpolate(context, scale_factor=2), "cp.conv_head16")
    x = unit(torch.cat([at8, context], 1), "ffm.convblk")
    gate = F.relu(conv(F.adaptive_avg_pool2d(x, 1), "ffm.conv1"))
    x = x + x * torch.sigmoid(conv(gate, "ffm.conv2"))
    x = conv(unit(x, "conv_out.conv"), "conv_out.conv_out")
    return F.interpolate(x, scale_factor=8, mode="bilinear", align_corners=True)


def test_every_name_and_shape_is_the_public_model_s():
    net = BiSeNet(BiSeNetConfig(width=64, stem="maxpool", detail=0))
    assert {key: list(value.shape) for key, value in net.state_dict().items()} == KEYS
    assert len(KEYS) == 191
    assert sum(p.numel() for p in net.parameters()) == 13_300_416


def test_the_full_width_model_loads_and_says_what_it_is(tmp_path):
    path = tmp_path / "release.pth"
    torch.save(weights(64), path)
    found = load_release(path)
    config = found.net.config
    assert (config.width, config.stem, config.detail, config.size) == (64, "maxpool", 0, 512)
    assert config.mean == (0.485, 0.456, 0.406) and config.std == (0.229, 0.224, 0.225)
    assert found.vocabulary == CELEBAMASK and found.architecture == "bisenet"
    assert working_size(found.net) == 512 and not found.net.training
    ours = found.net.state_dict()
    assert all(torch.equal(ours[k], v) for k, v in weights(64).items() if v.ndim)


def test_logits_are_the_release_s(file):
    net = load_release(file, size=96).net
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(v)[:, None, None] for v in (net.config.mean, net.config.std))
    with torch.no_grad():
        expected = released(weights(), (images - mean) / std)
        torch.testing.assert_close(net(images), expected, rtol=1e-3, atol=1e-4)
    assert expected.std() > 0.1


def test_images_of_other_sizes_are_seen_at_the_size_that_it_knows(file):
    net = load_release(file, size=96).net
    images = torch.rand(1, 3, 48, 32, generator=torch.Generator().manual_seed(2))
    larger = F.interpolate(images, size=(96, 64), mode="bilinear", antialias=True)
    with torch.no_grad():
        found = net(images)
        assert found.shape == (1, 19, 48, 32)
        by_hand = F.interpolate(net(larger), size=(48, 32), mode="bilinear", antialias=True)
        torch.testing.assert_close(found, by_hand)
        as_it_is = load_release(file, size=0).net(images)
    assert (found - as_it_is).abs().max() > 0.1 * found.std()


@pytest.mark.parametrize("kind", ["nested", "parallel", "no counters", "half", "safetensors"])
def test_the_ways_in_which_such_files_are_written(kind, tmp_path, file):
    w, path = weights(), tmp_path / "other.pth"
    if kind == "nested":
        torch.save({"epoch": 3, "state_dict": w}, path)
    elif kind == "parallel":
        torch.save({f"module.{key}": value for key, value in w.items()}, path)
    elif kind == "no counters":
        torch.save({k: v for k, v in w.items() if not k.endswith("num_batches_tracked")}, path)
    elif kind == "half":
        torch.save({k: v.half() if v.is_floating_point() else v for k, v in w.items()}, path)
    else:
        path = path.with_suffix(".safetensors")
        save_file(dict(w), path)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = load_release(file, size=0).net(images)
        found = load_release(path, size=0).net(images)
    tolerance = 0.05 if kind == "half" else 1e-6
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("other", [CELEBAMASK_OFFICIAL, CELEBAMASK_SEGFACE], ids=lambda v: v.name)
def test_another_index_order_is_converted_by_name(other, file, tmp_path):
    w = weights()
    for head in HEADS:
        w[head] = torch.stack([w[head][CELEBAMASK.index(name)] for name in other.classes])
    torch.save(w, tmp_path / "reordered.pth")
    found = load_release(tmp_path / "reordered.pth", vocabulary=other)
    assert found.vocabulary == CELEBAMASK
    ours, theirs = found.net.state_dict(), load_release(file).net.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    straight = load_release(tmp_path / "reordered.pth").net.state_dict()
    assert not torch.equal(straight[HEADS[0]], theirs[HEADS[0]])


def test_other_class_counts_need_their_vocabulary(tmp_path):
    path = tmp_path / "lapa.pth"
    torch.save(weights(classes=11), path)
    with pytest.raises(LabelsplatError, match=r"lapa\.pth.*11 classes.*vocabulary="):
        load_release(path)
    assert load_release(path, vocabulary=LAPA).vocabulary == LAPA


def test_saved_as_a_checkpoint_it_keeps_everything(file, tmp_path):
    loaded = load_release(file, size=64)
    save_checkpoint(tmp_path / "own.safetensors", loaded.net, training=loaded.training)
    again = load_checkpoint(tmp_path / "own.safetensors")
    assert again.net.config == loaded.net.config
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(again.net(images), loaded.net(images))


def test_load_parser_knows_them_by_their_content(file, tmp_path):
    assert load_parser(file).net.config.size == 512
    bare, own = tmp_path / "bare.safetensors", tmp_path / "own.safetensors"
    save_file(dict(weights()), bare)
    assert load_parser(bare).net.config.size == 512
    save_checkpoint(own, load_release(file, size=64).net)
    assert load_parser(own).net.config.size == 64


def test_keys_and_shapes_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "wrong.pth"
    w = weights()
    del w["cp.arm16.conv.conv.weight"], w["ffm.conv1.weight"]
    torch.save(w, path)
    with pytest.raises(LabelsplatError, match=r"wrong\.pth.*arm16.*missing.*ffm\.conv1.*2 in all"):
        load_release(path)
    torch.save(weights() | {"sp.conv1.weight": torch.zeros(3)}, path)
    with pytest.raises(LabelsplatError, match=r"wrong\.pth.*sp\.conv1\.weight is not a weight"):
        load_release(path)
    torch.save(weights() | {"ffm.conv1.weight": torch.zeros(3, 3, 1, 1)}, path)
    with pytest.raises(LabelsplatError, match=r"wrong\.pth.*ffm\.conv1\.weight has shape"):
        load_release(path)


def test_other_networks_and_broken_files(file, tmp_path):
    path = tmp_path / "other.pth"
    torch.save(nn.Conv2d(3, 19, 1).state_dict(), path)
    with pytest.raises(LabelsplatError, match=r"other\.pth.*no BiSeNet.*bias, weight.*ONNX"):
        load_release(path)
    torch.save([1, 2], path)
    with pytest.raises(LabelsplatError, match=r"other\.pth.*list, no weights"):
        load_release(path)
    with pytest.raises(LabelsplatError, match=r"gone\.pth.*missing"):
        load_parser(tmp_path / "gone.pth")
    content = file.read_bytes()
    for broken in (b"", b"photo" * 99, content[:200], content[: len(content) // 2]):
        path.write_bytes(broken)
        with pytest.raises(LabelsplatError, match=r"other\.pth"):
            load_release(path)
        path.with_suffix(".safetensors").write_bytes(broken)
        with pytest.raises(LabelsplatError, match=r"other\.safetensors"):
            load_release(path.with_suffix(".safetensors"))


def test_a_file_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "module.pth"
    torch.save(nn.Conv2d(3, 19, 1), path)  # a pickled module, as older projects write them
    with pytest.raises(LabelsplatError, match=r"module\.pth.*more than tensors.*state_dict"):
        load_release(path)
