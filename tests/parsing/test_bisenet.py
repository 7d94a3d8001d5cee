import pytest
import torch
import torch.nn.functional as F

from labelsplat.base import ParameterError
from labelsplat.parsing import BiSeNet, BiSeNetConfig, create
from labelsplat.parsing.bisenet import upsample


@pytest.mark.parametrize("stem", ["none", "maxpool"])
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (50, 71), (130, 36)])
def test_logits_have_the_size_of_the_image(stem, size):
    net = create("bisenet", width=8, stem=stem)
    images = torch.rand(2, 3, *size)
    main, *auxiliary = net.train()(images)
    assert main.shape == (2, 19, *size)
    assert len(auxiliary) == 2
    finest = 8 if stem == "maxpool" else 4
    for low, step in zip(auxiliary, (finest, 2 * finest), strict=True):
        assert low.shape == (2, 19, -(-size[0] // step), -(-size[1] // step))
    with torch.no_grad():
        assert net.eval()(images).shape == (2, 19, *size)


def test_extension_changes_nothing_for_fitting_sizes_and_little_far_from_the_edge():
    net = create("bisenet", width=8, seed=1).eval()
    images = torch.rand(1, 3, 64, 64)
    extended = F.pad(images, (0, 16, 0, 16), mode="replicate")
    with torch.no_grad():
        # 70 is extended to 80 by repetition, so it must equal the image extended by hand.
        by_hand = net(extended)[..., :70, :70]
        by_net = net(extended[..., :70, :70])
    torch.testing.assert_close(by_net, by_hand, rtol=1e-4, atol=1e-5)


def test_upsample_is_bilinear_interpolation_with_its_gradient():
    x = torch.rand(2, 5, 6, 7, dtype=torch.float32, requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    ours = upsample(x, 24, 21)
    theirs = F.interpolate(twin, size=(24, 21), mode="bilinear", align_corners=False)
    torch.testing.assert_close(ours, theirs)
    weight = torch.rand_like(ours)
    (ours * weight).sum().backward()
    (theirs * weight).sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)


def test_sizes_and_names_are_the_public_release_s():
    net = BiSeNet(BiSeNetConfig(width=64, stem="maxpool", detail=0))
    state = net.state_dict()
    shapes = {
        "cp.resnet.conv1.weight": (64, 3, 7, 7),
        "cp.resnet.layer4.1.bn2.running_var": (512,),
        "cp.resnet.layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "cp.arm16.conv.conv.weight": (128, 256, 3, 3),
        "cp.arm32.conv_atten.weight": (128, 128, 1, 1),
        "cp.conv_avg.conv.weight": (128, 512, 1, 1),
        "cp.conv_head16.bn.weight": (128,),
        "ffm.convblk.conv.weight": (256, 256, 1, 1),
        "ffm.conv2.weight": (256, 64, 1, 1),
        "conv_out.conv_out.weight": (19, 256, 1, 1),
        "conv_out32.conv.conv.weight": (64, 128, 3, 3),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes
    foreign = {key.partition(".")[0] for key in state}
    assert foreign == {"cp", "ffm", "conv_out", "conv_out16", "conv_out32"}


def test_the_detail_branch_corrects_logits_between_the_coarse_cells():
    """With the main head silenced, what is left varies within a quarter-size cell."""
    net = create("bisenet", width=8, detail=4, seed=3).eval()
    silent = create("bisenet", width=8, detail=0, seed=3).eval()
    for one in (net, silent):
        torch.nn.init.zeros_(one.conv_out.conv_out.weight)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert (silent(images) == 0).all()
        correction = net(images)
    smooth = upsample(F.avg_pool2d(correction, 4), 64, 64)
    assert (correction - smooth).abs().mean() > 0.2 * correction.abs().mean()


def test_normalisation_belongs_to_the_network():
    plain = create("bisenet", width=8, mean=[0, 0, 0], std=[1, 1, 1]).eval()
    normalising = create("bisenet", width=8, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1]).eval()
    images = torch.rand(1, 3, 32, 32)
    by_hand = (images - torch.tensor([0.4, 0.5, 0.6])[:, None, None]) / torch.tensor(
        [0.2, 0.3, 0.1]
    )[:, None, None]
    with torch.no_grad():
        torch.testing.assert_close(normalising(images), plain(by_hand))


def test_seed_decides_the_weights_and_leaves_the_global_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a, b, c = (create("bisenet", width=8, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    one, two, three = (net.cp.resnet.conv1.weight for net in (a, b, c))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


@pytest.mark.parametrize(
    "settings",
    [{"stem": "max"}, {"width": 0}, {"std": (0.2, 0.0, 0.2)}, {"classes": 1}, {"detail": -1}],
)
def test_impossible_configs_are_refused(settings):
    with pytest.raises(ParameterError):
        BiSeNetConfig(**settings)
