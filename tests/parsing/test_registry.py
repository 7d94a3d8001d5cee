import dataclasses

import pytest
import torch
from torch import nn

from labelsplat.base import ParameterError
from labelsplat.parsing import ARCHITECTURES, Parser, create, register
from labelsplat.parsing.registry import make_config, name_of


@dataclasses.dataclass(frozen=True)
class OneLayerConfig:
    classes: int = 19


class OneLayer(nn.Module):
    def __init__(self, config: OneLayerConfig):
        super().__init__()
        self.config = config
        self.layer = nn.Conv2d(3, config.classes, 1)

    def forward(self, images):
        return self.layer(images)


@pytest.fixture
def one_layer(monkeypatch):
    monkeypatch.setattr("labelsplat.parsing.registry.ARCHITECTURES", dict(ARCHITECTURES))
    register("one-layer", OneLayerConfig, OneLayer)


def test_a_registered_parser_can_be_created_and_named(one_layer):
    net = create("one-layer", classes=4)
    assert net(torch.rand(1, 3, 8, 8)).shape == (1, 4, 8, 8)
    assert name_of(net) == "one-layer"
    assert isinstance(net, Parser)


def test_a_taken_name_is_refused(one_layer):
    with pytest.raises(ParameterError, match="bisenet"):
        register("bisenet", OneLayerConfig, OneLayer)


def test_unknown_names_and_settings_are_named_with_a_remedy():
    with pytest.raises(ParameterError, match=r"bisenett.*bisenet"):
        create("bisenett")
    with pytest.raises(ParameterError, match=r"widht.*width"):
        create("bisenet", widht=8)
    with pytest.raises(ParameterError, match="Linear"):
        name_of(nn.Linear(1, 1))


def test_lists_become_tuples_so_that_configs_stay_frozen_and_hashable():
    config = make_config("bisenet", {"mean": [0.1, 0.2, 0.3]})
    assert config.mean == (0.1, 0.2, 0.3)
    assert hash(config) == hash(dataclasses.replace(config))
