"""The graph for processors says what the plain one says, in fewer operators."""

import collections

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from rtrecon.train.cpu_graph import for_cpu
from rtrecon.train.export import write_onnx
from rtrecon.train.network import FaceDpt
from tests.train.test_network import SMALL


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = FaceDpt(SMALL)
    for block in made.blocks:  # residual branches that matter
        torch.nn.init.uniform_(block.scale1, 0.5, 1.5)
        torch.nn.init.uniform_(block.scale2, 0.5, 1.5)
    torch.nn.init.normal_(made.coarse.weight, std=0.3)
    return made.eval()


def test_rounded_weights_are_all_that_changes_in_pytorch(network):
    images = torch.rand(2, 3, 64, 64)
    before = [p.clone() for p in network.parameters()]
    with torch.no_grad():
        plain, fused = network(images), for_cpu(network)(images)
    spread = float(plain.relief.std())
    difference = (fused.relief - plain.relief).abs()
    assert 0 < float(difference.mean()) < 0.02 * spread
    for old, new in zip(before, network.parameters(), strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=0)


def test_onnx_runtime_agrees_for_any_number_of_pictures(network, tmp_path):
    plain, fused = tmp_path / "plain.onnx", tmp_path / "fused.onnx"
    write_onnx(network, plain)
    write_onnx(for_cpu(network), fused)
    kinds = collections.Counter(node.op_type for node in onnx.load(fused).graph.node)
    assert kinds["MultiHeadAttention"] == SMALL.depth
    # Four of a block; what takes a window whole: two of the stem, three of pixels, and their mix.
    assert kinds["DynamicQuantizeMatMul"] == 4 * SMALL.depth + 6
    assert kinds["Softmax"] == 0
    sessions = [ort.InferenceSession(p, providers=["CPUExecutionProvider"]) for p in (plain, fused)]
    for count in (1, 3):
        images = np.random.default_rng(count).random((count, 3, 64, 64), dtype=np.float32)
        said = [s.run(["relief", "expression"], {"image": images}) for s in sessions]
        np.testing.assert_allclose(said[0][1], said[1][1], atol=0.02)
        a, b = said[0][0], said[1][0]
        assert a.shape == b.shape == (count, 1, 64, 64)
        assert 0 < np.abs(a - b).mean() < 0.03 * a.std()
