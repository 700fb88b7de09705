import pytest

torch = pytest.importorskip("torch")

from rtrecon.errors import ModelError
from rtrecon.train.network import FaceDpt, NetworkConfig

SMALL = NetworkConfig(
    size_px=64, stem=(8, 16, 16), width=32, depth=2, heads=2, mlp=2, fusion=16, head=8
)


@pytest.mark.parametrize("size", [64, 96])
def test_shapes_at_its_own_and_at_another_size(size):
    out = FaceDpt(SMALL).eval()(torch.rand(2, 3, size, size))
    assert out.relief.shape == out.mask.shape == (2, 1, size // 2, size // 2)
    assert out.expression.shape == (2, 51)
    assert out.landmarks.shape == (2, 68, 2)
    assert ((out.expression >= 0) & (out.expression <= 1)).all()


def test_coefficients_see_closely_where_eyes_and_mouth_lie():
    torch.manual_seed(0)
    network = FaceDpt(SMALL).eval()
    x4 = torch.rand(1, 16, 48, 48)
    for window, inside, outside in (
        (network.eyes, (18, 14), (34, 24)),
        (network.mouth, (34, 24), (18, 14)),
    ):
        before = window(x4)
        for (row, column), changes in ((inside, True), (outside, False)):
            touched = x4.clone()
            touched[:, :, row, column] += 5.0
            assert torch.equal(window(touched), before) != changes


def test_details_see_pixels_and_their_share_counts():
    torch.manual_seed(0)
    network = FaceDpt(SMALL).eval()
    image = torch.rand(1, 3, 192, 192)
    lid = image.clone()
    lid[:, :, 80:84, 60:70] = 0
    before, after = network.details(image), network.details(lid)
    assert not torch.equal(before[0], after[0])
    assert before[1].shape == (1, 136)
    with torch.no_grad():
        network.share_expression.fill_(1.0)
        network.share_landmarks.fill_(1.0)
    out = network(image)
    torch.testing.assert_close(out.expression, torch.sigmoid(before[0]))
    torch.testing.assert_close(out.landmarks.flatten(1), before[1])


def test_rotation_is_a_rotation():
    torch.manual_seed(0)
    network = FaceDpt(SMALL).eval()
    torch.nn.init.normal_(network.rotation.weight)
    R = network(torch.rand(3, 3, 64, 64)).rotation
    torch.testing.assert_close(R @ R.transpose(1, 2), torch.eye(3).expand(3, 3, 3))
    torch.testing.assert_close(torch.linalg.det(R), torch.ones(3))


def test_every_weight_learns():
    network = FaceDpt(SMALL)
    out = network(torch.rand(2, 3, 64, 64))
    parts = (out.relief, out.mask, out.expression, out.landmarks, out.rotation)
    sum((p * torch.rand_like(p)).sum() for p in parts).backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None]
    assert idle == []


def test_config_survives_a_header():
    assert NetworkConfig.from_dict(SMALL.as_dict()) == SMALL


@pytest.mark.parametrize("change", [{"stem": 3}, {"wings": 2}])
def test_header_of_another_architecture(change):
    with pytest.raises(ModelError, match="another architecture"):
        NetworkConfig.from_dict({**SMALL.as_dict(), **change})


def test_frozen_norms_train_on_what_evaluation_sees():
    torch.manual_seed(0)
    network = FaceDpt(SMALL)
    for _ in range(3):
        network(torch.rand(4, 3, 64, 64))  # statistics of their own
    network.freeze_norms()
    before = {k: v.clone() for k, v in network.state_dict().items() if "running" in k}
    image = torch.rand(2, 3, 64, 64)
    trained, evaluated = network.train()(image), network.eval()(image)
    torch.testing.assert_close(trained.relief, evaluated.relief, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(network.state_dict()[k], v) for k, v in before.items())
    trained.relief.sum().backward()
    assert network.stem2[1].weight.grad.abs().sum() > 0
