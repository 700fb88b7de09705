import pytest

torch = pytest.importorskip("torch")

from rtrecon.train.network import FaceDpt
from rtrecon.train.optimiser import Optimiser
from tests.train.test_network import SMALL

pytestmark = pytest.mark.usefixtures("one_thread")


def _stepped(network, optimiser, steps, rate=1e-2):
    for k in range(steps):
        torch.manual_seed(k)
        optimiser.zero_grad()
        out = network(torch.rand(2, 3, 64, 64))
        sum(t.square().mean() for t in (out.relief, out.mask, out.landmarks)).backward()
        optimiser.step(rate)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return FaceDpt(SMALL).to(memory_format=torch.channels_last)


def test_every_weight_that_has_a_gradient_moves(network):
    before = {k: p.detach().clone() for k, p in network.named_parameters()}
    _stepped(network, Optimiser(network, 0.0), 2)
    still = [
        k
        for k, p in network.named_parameters()
        if p.grad is not None and p.grad.abs().max() > 0 and torch.equal(p, before[k])
    ]
    assert still == []


def test_a_convolution_moves_equally_in_all_directions(network):
    """The step of Muon is near orthogonal: no direction of a matrix is left behind."""
    weight = network.stem8[0][0].weight
    before = weight.detach().clone()
    _stepped(network, Optimiser(network, 0.0), 1)
    singular = torch.linalg.svdvals((weight - before).detach().flatten(1))
    assert singular.min() > 0.4 * singular.max()


def test_goes_on_as_if_it_had_not_stopped(network):
    optimiser = Optimiser(network, 0.03)
    _stepped(network, optimiser, 3)
    tensors = {k: v.clone() for k, v in optimiser.tensors().items()}
    copy = FaceDpt(SMALL).to(memory_format=torch.channels_last)
    copy.load_state_dict(network.state_dict())
    resumed = Optimiser(copy, 0.03)
    resumed.load(tensors)
    _stepped(network, optimiser, 2)
    _stepped(copy, resumed, 2)
    for a, b in zip(network.parameters(), copy.parameters(), strict=True):
        assert torch.equal(a, b)
