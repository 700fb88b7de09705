"""Plain OSC and VMC, read back by python-osc."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.osc import MOST_BYTES, FloatMessages, OscEncoder, bundles, element, message
from rtrecon.avatar.vmc import ShapeNames, VmcEncoder
from rtrecon.errors import ArgumentError
from rtrecon.expression.names import ARKIT_NAMES
from tests.avatar.faces import sample

osc_packet = pytest.importorskip("pythonosc.osc_packet")


def read(datagrams: list[bytes]) -> list[tuple[str, list[object]]]:
    """Address and arguments of every message, in the order of the wire."""
    found = []
    for datagram in datagrams:
        assert len(datagram) <= MOST_BYTES
        assert len(datagram) % 4 == 0
        for timed in osc_packet.OscPacket(datagram).messages:
            found.append((timed.message.address, timed.message.params))
    return found


def test_golden_bytes() -> None:
    assert message("/a/b", 1, 0.5, "xyz") == (b"/a/b\0\0\0\0,ifs\0\0\0\0\0\0\0\x01\x3f\0\0\0xyz\0")
    assert message("/VMC/Ext/Blend/Apply") == b"/VMC/Ext/Blend/Apply\0\0\0\0,\0\0\0"
    assert bundles([element(b"/x\0\0,\0\0\0")]) == [
        b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x08/x\0\0,\0\0\0"
    ]
    one = FloatMessages([("/v", "A")]).elements(np.array([1.0]))
    assert one == [b"\0\0\0\x10/v\0\0,sf\0A\0\0\0\x3f\x80\0\0"]


def test_bundles_hold_what_fits_and_end_with_the_last() -> None:
    parts = [element(message(f"/{k:03}", "x" * 90)) for k in range(100)]
    last = element(message("/last"))
    made = bundles(parts, last)
    found = [address for address, _ in read(made)]
    assert found == [f"/{k:03}" for k in range(100)] + ["/last"]
    assert made[-1].endswith(last)
    assert len(made) == math.ceil(100 / ((MOST_BYTES - 16) // len(parts[0])))


def test_plain_addresses() -> None:
    found = dict(read(OscEncoder("/face/")(sample())))
    assert found["/face/tracking"] == [1]
    assert found["/face/time"] == [12.5]
    assert found["/face/head/rotation"] == pytest.approx([10, 20, 5], abs=1e-4)
    assert found["/face/head/position"] == pytest.approx([0.01, -0.02, 0.03])
    assert found["/face/eyes/left"] == pytest.approx([-0.5 * 32, 0], abs=1e-5)
    shapes = [found[f"/face/{name}"] for name in ARKIT_NAMES]
    np.testing.assert_allclose(np.array(shapes)[:, 0], sample().coefficients)


def test_plain_addresses_without_a_face() -> None:
    found = read(OscEncoder()(AvatarFrame.neutral(3.0)))
    assert found == [("/rtrecon/tracking", [0]), ("/rtrecon/time", [3.0])]


@pytest.mark.parametrize("prefix", ["face", "/a b", "/a*", "/ä", "//a#"])
def test_a_prefix_that_is_no_address(prefix: str) -> None:
    with pytest.raises(ArgumentError, match="prefix"):
        OscEncoder(prefix)


@pytest.mark.parametrize("names", ["both", "arkit-pascal", "arkit-camel", "vrm0", "vrm1"])
@pytest.mark.parametrize("frame", [sample(), AvatarFrame.neutral(3.0)], ids=["face", "none"])
def test_vmc_order_and_kinds(names: ShapeNames, frame: AvatarFrame) -> None:
    found = read(VmcEncoder(names)(frame))
    addresses = [address for address, _ in found]
    assert addresses[:6] == [
        "/VMC/Ext/OK", "/VMC/Ext/T", "/VMC/Ext/Root/Pos", *["/VMC/Ext/Bone/Pos"] * 3,
    ]  # fmt: skip
    assert set(addresses[6:-1]) == {"/VMC/Ext/Blend/Val"}
    assert addresses[-1] == "/VMC/Ext/Blend/Apply"
    assert found[0][1] == [1, 3, 0, int(frame.is_tracked)]
    assert found[1][1] == [frame.t_s]
    assert isinstance(found[1][1][0], float)
    assert found[2][1] == ["root", 0, 0, 0, 0, 0, 0, 1]
    for _, arguments in found[2:6]:
        assert [type(a) for a in arguments] == [str] + [float] * 7
        assert np.linalg.norm(arguments[4:]) == pytest.approx(1.0, abs=1e-6)  # type: ignore[arg-type]
    for _, (name, value) in found[6:-1]:
        assert isinstance(name, str)
        assert isinstance(value, float)
        assert 0.0 <= value <= 1.0
    shapes = [str(arguments[0]) for _, arguments in found[6:-1]]
    assert len(set(shapes)) == len(shapes)
    assert not {"Blink", "blink"} & set(shapes)


def test_vmc_names_and_values() -> None:
    shapes = {a[0]: a[1] for address, a in read(VmcEncoder()(sample())) if address.endswith("Val")}
    assert len(shapes) == 104
    assert shapes["EyeBlinkLeft"] == shapes["eyeBlinkLeft"] == pytest.approx(0.9)
    assert shapes["JawOpen"] == pytest.approx(0.4)
    assert shapes["TongueOut"] == 0.0
    presets = {a[0]: a[1] for _, a in read(VmcEncoder("vrm1")(sample()))[6:-1]}
    assert presets["blinkLeft"] == pytest.approx(0.9)
    assert presets["blinkRight"] == 0.0
    assert presets["aa"] == pytest.approx(0.4)


def test_vmc_bones() -> None:
    bones = {str(a[0]): a for address, a in read(VmcEncoder()(sample())) if "Bone" in address}
    assert set(bones) == {"Head", "LeftEye", "RightEye"}
    np.testing.assert_allclose(bones["Head"][4:], sample().rotation, atol=1e-6)
    half = math.radians(-16) / 2  # the left eye looks to the own left: about -y
    assert bones["LeftEye"][4:] == pytest.approx([0, math.sin(half), 0, math.cos(half)], abs=1e-6)
