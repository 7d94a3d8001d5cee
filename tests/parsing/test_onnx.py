"""ONNX models as parsers, and parsers as ONNX models."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.labels import (
    CELEBAMASK,
    CELEBAMASK_OFFICIAL,
    CELEBAMASK_SEGFACE,
    LAPA,
    Conversion,
)
from labelsplat.parsing import (
    OnnxParser,
    create,
    description_path,
    export_onnx,
    load_parser,
    predict,
    read_description,
    save_checkpoint,
    working_size,
)

pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

PLAIN = {
    "size": "null",
    "range": "[0, 1]",
    "mean": "[0, 0, 0]",
    "std": "[1, 1, 1]",
    "channels": "RGB",
    "layout": "NCHW",
    "kind": "logits",
    "vocabulary": "celebamask-19",
}


class Pixelwise(nn.Module):
    """Foreign code: a 1 x 1 convolution, then whatever the case asks for."""

    def __init__(self, classes, layout="NCHW", softmax=False, second=False, scale=1.0):
        super().__init__()
        random = torch.Generator().manual_seed(classes)
        self.weight = nn.Parameter(torch.randn(classes, 3, 1, 1, generator=random) * 3)
        self.layout, self.softmax, self.second, self.scale = layout, softmax, second, scale

    def forward(self, x):
        x = x if self.layout == "NCHW" else x.permute(0, 3, 1, 2)
        x = F.conv2d(x * self.scale, self.weight)
        x = torch.softmax(x, 1) if self.softmax else x
        first = x if self.layout == "NCHW" else x.permute(0, 2, 3, 1)
        return (first[:, :, ::2, ::2] * 0, first) if self.second else first


@pytest.fixture
def foreign(tmp_path):
    """Writes a model and its description; returns its path."""

    def write(net, shape=(1, 3, 16, 16), dynamic=(0, 2, 3), outputs=("out",), **description):
        import warnings

        path = tmp_path / "foreign.onnx"
        axes = {i: f"axis{i}" for i in dynamic}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                net.eval(),
                (torch.rand(shape),),
                str(path),
                input_names=["x"],
                output_names=list(outputs),
                dynamic_axes={name: axes for name in ("x", *outputs)} if dynamic else None,
                opset_version=17,
                dynamo=False,
            )
        lines = [f"{key}: {value}" for key, value in (PLAIN | description).items()]
        description_path(path).write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


@pytest.fixture
def images():
    return torch.rand(5, 3, 24, 20, generator=torch.Generator().manual_seed(7))


def logits_of(net, x):
    with torch.no_grad():
        return F.conv2d(x, net.weight)


def test_a_plain_model_gives_its_own_logits(foreign, images):
    net = Pixelwise(19)
    found = load_parser(foreign(net))
    assert found.architecture == "onnx" and found.vocabulary == CELEBAMASK
    assert not list(found.net.parameters()) and working_size(found.net) is None
    torch.testing.assert_close(found.net(images), logits_of(net, images), rtol=1e-4, atol=1e-5)


def test_it_predicts_like_any_parser(foreign):
    net = Pixelwise(19)
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 14, 3)).astype(np.uint8)

    class Same(nn.Module):
        def forward(self, x):
            return logits_of(net, x)

    expected = predict(Same(), images, device="cpu")
    soft = predict(load_parser(foreign(net)).net, images, device="cpu")
    np.testing.assert_allclose(soft, expected, atol=1e-5)


def test_input_is_made_as_described(foreign, images):
    net = Pixelwise(19, layout="NHWC", scale=0.01)
    path = foreign(
        net, (1, 16, 16, 3), (0, 1, 2),
        range="[0, 255]", mean="[100, 110, 120]", std="[50, 60, 70]", channels="BGR", layout="NHWC",
    )  # fmt: skip
    seen = images.flip(1) * 255
    mean, std = (torch.tensor(v)[:, None, None] for v in ([100, 110, 120], [50, 60, 70]))
    expected = logits_of(net, (seen - mean) / std * 0.01)
    torch.testing.assert_close(load_parser(path).net(images), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("other", [CELEBAMASK_OFFICIAL, CELEBAMASK_SEGFACE], ids=lambda v: v.name)
@pytest.mark.parametrize("listed", [False, True])
def test_orders_are_converted_by_name(foreign, images, other, listed):
    net = Pixelwise(19)
    names = f"[{', '.join(other.classes)}]" if listed else other.name
    found = load_parser(foreign(net, vocabulary=names)).net(images)
    theirs = logits_of(net, images)
    for i, name in enumerate(CELEBAMASK.classes):
        torch.testing.assert_close(
            found[:, i], theirs[:, other.index(name)], rtol=1e-4, atol=1e-5, msg=name
        )


@pytest.mark.parametrize("softmax", [False, True])
def test_coarser_vocabularies_leave_finer_classes_empty(foreign, images, softmax):
    net = Pixelwise(11, softmax=softmax)
    kind = "probabilities" if softmax else "logits"
    path = foreign(net, vocabulary="lapa-11", kind=kind)
    soft = torch.softmax(load_parser(path).net(images), 1)
    theirs = torch.softmax(logits_of(net, images), 1).permute(0, 2, 3, 1).numpy()
    expected = Conversion(LAPA, CELEBAMASK).soft(theirs)
    np.testing.assert_allclose(soft.permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)


def test_sides_of_the_image_are_exchanged(foreign, images):
    net = Pixelwise(19)
    subject = load_parser(foreign(net)).net(images)
    image = load_parser(foreign(net, sides="image")).net(images)
    torch.testing.assert_close(image, subject[:, torch.from_numpy(CELEBAMASK.flip)])


def test_fixed_sizes_and_batches(foreign, images):
    net = Pixelwise(19)
    path = foreign(net, (2, 3, 48, 40), dynamic=(), size="[48, 40]")
    found = load_parser(path).net
    assert working_size(found) == 48
    larger = F.interpolate(images, size=(48, 40), mode="bilinear", antialias=True)
    back = F.interpolate(logits_of(net, larger), size=(24, 20), mode="bilinear", antialias=True)
    assert found(images).shape == (5, 19, 24, 20)  # five images, two at a time
    torch.testing.assert_close(found(images), back, rtol=1e-4, atol=1e-4)


def test_outputs_by_name(foreign, images):
    net = Pixelwise(19, second=True)
    path = foreign(net, outputs=("low", "full"), output="full")
    torch.testing.assert_close(
        load_parser(path).net(images), logits_of(net, images), rtol=1e-4, atol=1e-5
    )
    assert (load_parser(foreign(net, outputs=("low", "full"))).net(images) == 0).all()
    with pytest.raises(LabelsplatError, match=r"foreign\.onnx.*no output.*'big'.*low, full"):
        load_parser(foreign(net, outputs=("low", "full"), output="big"))
    with pytest.raises(LabelsplatError, match=r"no input is called 'y'.*There are x"):
        load_parser(foreign(net, outputs=("low", "full"), input="y"))


@pytest.mark.parametrize(
    ("description", "told"),
    [
        ({"vocabulary": "lapa-11"}, "19 channels.*'lapa-11' 11 classes"),
        ({"layout": "NHWC", "output_layout": "NCHW"}, "layout NHWC"),
        ({"size": "[16, 16]"}, "size \\[16, 16\\]"),
        ({"size": "null"}, "size is null.*48, 40"),
    ],
)
def test_what_the_file_says_of_itself_is_held_against_the_description(foreign, description, told):
    path = foreign(
        Pixelwise(19), (1, 3, 48, 40), dynamic=(), **({"size": "[48, 40]"} | description)
    )
    with pytest.raises(LabelsplatError, match=rf"foreign\.onnx.*{told}"):
        load_parser(path)


def test_channels_that_only_show_when_it_runs(foreign, images):
    path = foreign(Pixelwise(19), dynamic=(0, 1, 2, 3), vocabulary="lapa-11")
    with pytest.raises(LabelsplatError, match=r"foreign\.onnx.*19.*11 classes"):
        load_parser(path).net(images)


def test_logits_called_probabilities_are_noticed(foreign, images):
    path = foreign(Pixelwise(19), kind="probabilities")
    with pytest.raises(LabelsplatError, match=r"foreign\.onnx.*pixels sum to.*kind: logits"):
        load_parser(path).net(images)


def test_values_that_are_not_finite(foreign, images):
    net = Pixelwise(19)
    with torch.no_grad():
        net.weight[3] = float("nan")
    with pytest.raises(LabelsplatError, match=r"foreign\.onnx.*not finite"):
        load_parser(foreign(net)).net(images)


def test_missing_and_broken_files(foreign, tmp_path):
    path = foreign(Pixelwise(19))
    content = path.read_bytes()
    for broken in (b"", b"no model", content[: len(content) // 2]):
        path.write_bytes(broken)
        with pytest.raises(LabelsplatError, match=r"foreign\.onnx"):
            load_parser(path)
    path.write_bytes(content)
    description_path(path).unlink()
    with pytest.raises(LabelsplatError, match=r"foreign\.yaml.*missing"):
        load_parser(path)


@pytest.mark.parametrize(
    ("name", "settings", "size"),
    [
        ("bisenet", {}, 64),
        ("bisenet", {"stem": "maxpool", "detail": 0}, 64),
        ("bisenet", {"stem": "maxpool", "size": 96, "align_corners": True, "detail": 0}, 96),
        ("unet", {}, 48),
        ("unet", {"depth": 3}, 50),  # no multiple of its stride
    ],
)
def test_an_exported_parser_comes_back_with_the_same_logits(tmp_path, name, settings, size):
    torch.manual_seed(0)
    net = create(name, width=8, seed=5, mean=[0.4, 0.5, 0.6], **settings)
    with torch.no_grad():
        net.train()(torch.rand(4, 3, 64, 64))  # the running statistics leave their start
    path = tmp_path / "parser.onnx"
    export_onnx(net, path, size)
    assert net.training
    found = load_parser(path)
    assert found.vocabulary == CELEBAMASK and working_size(found.net) == size
    net.eval()
    for count in (1, 3):
        images = torch.rand(count, 3, size, size)
        with torch.no_grad():
            expected = net(images)
        difference = (found.net(images) - expected).abs().max()
        assert difference < 1e-4, float(difference)
        assert difference < 2e-3 * expected.std()


def test_exported_vocabularies_are_written_down(tmp_path):
    net = create("unet", width=8, classes=11)
    export_onnx(net, tmp_path / "lapa.onnx", 32, vocabulary=LAPA)
    assert read_description(tmp_path / "lapa.yaml").vocabulary == LAPA
    images = torch.rand(1, 3, 32, 32)
    found = load_parser(tmp_path / "lapa.onnx").net(images).argmax(1)
    with torch.no_grad():
        theirs = net.eval()(images).argmax(1).numpy().astype(np.uint8)
    np.testing.assert_array_equal(found.numpy(), Conversion(LAPA, CELEBAMASK).labels(theirs))


def test_what_cannot_be_exported(foreign, tmp_path):
    net = create("unet", width=8)
    with pytest.raises(ParameterError, match=r"called \*\.onnx"):
        export_onnx(net, tmp_path / "parser.pb", 32)
    with pytest.raises(ParameterError, match="size is 0"):
        export_onnx(net, tmp_path / "parser.onnx", 0)
    own = create("bisenet", width=8, stem="maxpool", size=96, align_corners=True, detail=0)
    with pytest.raises(ParameterError, match="resizes all images to 96"):
        export_onnx(own, tmp_path / "parser.onnx", 64)
    parser = OnnxParser(foreign(Pixelwise(19)))
    with pytest.raises(LabelsplatError, match="ONNX model already"):
        export_onnx(parser, tmp_path / "parser.onnx", 32)
    with pytest.raises(LabelsplatError, match="OnnxParser belongs to no registered parser"):
        save_checkpoint(tmp_path / "p.safetensors", parser)
    assert {p.name for p in tmp_path.iterdir()} == {"foreign.onnx", "foreign.yaml"}
