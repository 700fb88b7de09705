"""The page's avatar: our own VRM, 0 and 1, and models of strangers, in a real browser."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")

import web_page

import rtrecon
from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.stage import AvatarStage
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.head.glb import encode_glb
from rtrecon.head.model import head_model
from rtrecon.head.rig import RiggedHead
from rtrecon.head.rigging import rig_head
from rtrecon.head.vrm import VrmMeta, encode_vrm
from rtrecon.result import LiveResult
from tests.outputs.web.page_modules import STAGE, Asked, open_page, serve

pytestmark = [
    pytest.mark.skipif(bool(web_page.why_no_browser()), reason=web_page.why_no_browser()),
    pytest.mark.timeout(600),  # software GL on a machine that does other things as well
]

EDITED = ["vrm1", "vrm0", "glb"]
TURNS = {  # what the head does, in our frame, and where its nose then points in three.js'
    "own right": ([0.0, np.sin(0.2), 0.0, np.cos(0.2)], lambda nose: nose[0] < -0.3),
    "down": ([np.sin(0.2), 0.0, 0.0, np.cos(0.2)], lambda nose: nose[1] < -0.3),
    "none": ([0.0, 0.0, 0.0, 1.0], lambda nose: nose[2] > 0.999),
}


def edited(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A GLB with another JSON chunk."""
    size = struct.unpack_from("<I", content, 12)[0]
    document = json.loads(content[20 : 20 + size])
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = content[20 + size :]
    head = struct.pack("<4sII", b"glTF", 2, 20 + len(text) + len(rest))
    return head + struct.pack("<I4s", len(text), b"JSON") + text + rest


def rename_shapes(document: dict[str, Any], name: Callable[[str], str]) -> None:
    for mesh in document["meshes"]:
        mesh["extras"]["targetNames"] = [name(one) for one in mesh["extras"]["targetNames"]]


def only_presets(document: dict[str, Any]) -> None:
    """As most models of VRM are: no shapes of ARKit's."""
    document["extensions"]["VRMC_vrm"]["expressions"]["custom"] = {}
    rename_shapes(document, lambda name: f"blendShape.{ARKIT_NAMES.index(name)}")


def like_a_game_character(document: dict[str, Any]) -> None:
    """Other spellings of the shapes, bones of a rig, everything in centimetres."""
    rename_shapes(
        document,
        lambda name: "Wolf3D_Head." + name.replace("Left", "_L").replace("Right", "_R"),
    )
    bones = {"Head": "mixamorigHead", "Neck": "mixamorigNeck", "LeftEye": "Eye.L"}
    for node in document["nodes"]:
        node["name"] = bones.get(node.get("name", ""), node.get("name", ""))
    nodes = document["nodes"]
    roots = document["scenes"][0]["nodes"]
    nodes.append({"name": "Armature", "scale": [100.0, 100.0, 100.0], "children": roots})
    document["scenes"][0]["nodes"] = [len(nodes) - 1]


@pytest.fixture(scope="module")
def rigged() -> RiggedHead:
    model = head_model()
    texture = np.full((64, 64, 3), (214, 168, 142), dtype=np.uint8)
    return rig_head(model, model.vertices, texture)


@pytest.fixture(scope="module")
def files(rigged: RiggedHead) -> dict[str, bytes]:
    meta = VrmMeta("Test", "Test")
    vrm1, glb = encode_vrm(rigged, meta), encode_glb(rigged)
    return {
        "/vrm1": vrm1,
        "/vrm0": encode_vrm(rigged, meta, 0),
        "/glb": glb,
        "/presets": edited(vrm1, only_presets),
        "/game": edited(glb, like_a_game_character),
    }


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked()


@pytest.fixture(scope="module")
def errors() -> list[str]:
    return []


@pytest.fixture(scope="module")
def page(files: dict[str, bytes], asked: Asked, errors: list[str]) -> Iterator[Any]:
    with serve(files, asked) as url, open_page(url, errors=errors) as page:
        page.evaluate(STAGE)
        page.evaluate("stage.renderer.setAnimationLoop(null)")  # pixels take long without a card
        yield page


@pytest.fixture(autouse=True)
def no_errors(errors: list[str]) -> Iterator[None]:
    yield
    assert not errors


def nose(page: Any) -> list[float]:
    """Where the head's +z points in the scene, from what its vertices do."""
    return page.evaluate(
        """() => {
            const {rig} = view._model;
            const node = rig.vrm ? rig.vrm.humanoid.getRawBoneNode('head') : rig.head;
            const m = node.matrixWorld.elements;
            const away = rig.facesAway ? -1 : 1;
            const long = Math.hypot(m[8], m[9], m[10]);
            return [away * m[8] / long, away * m[9] / long, away * m[10] / long];
        }"""
    )


@pytest.mark.parametrize("name", EDITED)
def test_all_our_own_are_moved_alike(page: Any, name: str) -> None:
    page.evaluate(f"view.load('/{name}')")
    for rotation, points in TURNS.values():
        page.evaluate("pose => settle(pose)", {"rotation": [float(v) for v in rotation]})
        assert points(nose(page))
    wanted = {"jawOpen": 0.7, "eyeBlinkLeft": 1.0, "mouthSmileRight": 0.4}
    page.evaluate("pose => settle(pose)", {"coefficients": wanted})
    morphs = page.evaluate("morphs()")
    assert {k: pytest.approx(v, abs=1e-4) for k, v in wanted.items()} == {
        k: v for k, v in morphs.items() if v
    }
    assert page.evaluate("view.words") == []


@pytest.mark.parametrize("name", [*EDITED, "game"])
def test_eyes_turn_each_for_itself_once(page: Any, name: str) -> None:
    """The left looks to the own right, the right one down."""
    page.evaluate(f"view.load('/{name}')")
    looks = page.evaluate(
        """() => {
            settle({eyes: [0.3, 0, 0, 0.2]});
            const {rig} = view._model, found = [];
            const {eyes} = rig;
            for (const eye of eyes) {
              const m = eye.matrixWorld.elements, away = rig.facesAway ? -1 : 1;
              const long = Math.hypot(m[8], m[9], m[10]);
              found.push([away * m[8] / long, away * m[9] / long]);
            }
            settle();
            return found;
        }"""
    )
    (left_x, left_y), (right_x, right_y) = looks
    assert left_x == pytest.approx(-np.sin(0.3), abs=0.01)
    assert left_y == pytest.approx(0.0, abs=0.01)
    assert right_x == pytest.approx(0.0, abs=0.01)
    assert right_y == pytest.approx(-np.sin(0.2), abs=0.01)


@pytest.mark.parametrize("name", [*EDITED, "game"])
def test_it_is_in_metres_with_its_eyes_where_they_belong(page: Any, name: str) -> None:
    page.evaluate(f"view.load('/{name}')")
    at = page.evaluate(
        """() => {
            settle();
            const eye = view._model.rig.eyesAt(stage.root.position.clone());
            return eye.toArray();
        }"""
    )
    assert at == pytest.approx([0.0, 0.03, 0.038], abs=0.005)
    apart = page.evaluate(
        """() => {
            const {eyes} = view._model.rig;
            const [a, b] = eyes.map((eye) => eye.matrixWorld.elements);
            return Math.hypot(a[12] - b[12], a[13] - b[13], a[14] - b[14]);
        }"""
    )
    assert apart == pytest.approx(0.063, rel=0.15)


def test_a_model_with_presets_alone_speaks_and_blinks_by_them(page: Any) -> None:
    page.evaluate("view.load('/presets')")
    values = page.evaluate(
        """() => {
            settle({coefficients: {jawOpen: 0.8, eyeBlinkRight: 1}});
            const {expressionManager} = view._model.rig.vrm;
            const of = (name) => expressionManager.getValue(name);
            return {
              aa: of('aa'), both: of('blink'), left: of('blinkLeft'), right: of('blinkRight'),
            };
        }"""
    )
    assert values == {"aa": pytest.approx(0.8), "left": 0, "right": 1, "both": 0}
    assert "presets" in page.evaluate("view.words[0]")


def test_a_stranger_s_spelling_is_understood(page: Any) -> None:
    page.evaluate("view.load('/game')")
    page.evaluate("settle({coefficients: {eyeBlinkLeft: 1, browInnerUp: 0.5}})")
    moved = {name: value for name, value in page.evaluate("morphs()").items() if value}
    assert moved == {"Wolf3D_Head.eyeBlink_L": 1, "Wolf3D_Head.browInnerUp": pytest.approx(0.5)}
    assert page.evaluate("view.words") == []


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("eyeBlinkLeft", "eyeBlinkLeft"),
        ("EyeBlink_L", "eyeBlinkLeft"),
        ("eyeBlink.L", "eyeBlinkLeft"),
        ("LeftEyeBlink", "eyeBlinkLeft"),
        ("head.blendShape1.MouthSmile_R", "mouthSmileRight"),
        ("JAWOPEN", "jawOpen"),
        ("jaw_open", "jawOpen"),
        ("CC_Base_Brow_Down_L", "browDownLeft"),
        ("BrowInnerUp_R", "browInnerUp"),
        ("mouthLeft", "mouthLeft"),
        ("viseme_aa", None),
        ("hair", None),
    ],
)
def test_spellings_of_arkit(page: Any, spelt: str, name: str | None) -> None:
    place = page.evaluate(
        "async (spelt) => (await import('/static/avatar_shapes.js')).arkitPlace(spelt)", spelt
    )
    assert place == (-1 if name is None else ARKIT_NAMES.index(name))


def test_names_are_the_server_s(page: Any) -> None:
    assert tuple(page.evaluate("ARKIT_NAMES")) == ARKIT_NAMES


def test_the_jaw_moves_with_the_clip_s(page: Any, repository: Path) -> None:
    """A rendered head that talks, of which it is known how far its jaw is open."""
    clip = repository / "tests" / "data" / "head-clip"
    meta = json.loads((clip / "meta.json").read_text())
    recon, stage = rtrecon.Reconstructor(provider="cpu", threads=1), AvatarStage()
    poses, jaws = [], []
    with rtrecon.open_source(str(clip / "rgb")) as source:
        for frame in source:
            avatar = stage.frame(LiveResult(frame, recon(frame), 0.0))
            poses.append(header_of(avatar))
            jaws.append(avatar["jawOpen"])
    assert max(jaws) - min(jaws) > 0.2  # it does talk
    page.evaluate("view.load('/vrm1')")
    shown = page.evaluate(
        """(poses) => poses.map((pose) => {
            for (let k = 0; k < 3; k += 1) view.update(pose, 1 / 60);
            return morphs().jawOpen;
        })""",
        poses,
    )
    assert np.corrcoef(jaws, shown)[0, 1] > 0.99
    jaw = meta["expression_names"].index("jawOpen")
    exact = [frame["expression"][jaw] for frame in meta["frames"]]
    assert np.corrcoef(exact, shown)[0, 1] > 0.7


def header_of(avatar: AvatarFrame) -> dict[str, Any]:
    """As the server packs it (docs/web.md)."""
    return {
        "state": avatar.state,
        "rotation": list(avatar.rotation),
        "position_m": list(avatar.position_m),
        "coefficients": [round(float(v), 3) for v in avatar.coefficients],
        "eyes": [angle for eye in avatar.eyes for angle in (eye.yaw_rad, eye.pitch_rad)],
    }


def test_between_results_it_goes_on_evenly(page: Any) -> None:
    """Ten times as many frames as results: no frame jumps, and the newest is reached in time."""
    page.evaluate("view.load('/vrm1')")
    steps = page.evaluate(
        """() => {
            stage.frugal = false; // as with a graphics card
            settle();
            const shown = [];
            for (let result = 1; result <= 10; result += 1) {
              const pose = header({coefficients: {jawOpen: result / 10}});
              for (let k = 0; k < 10; k += 1) {
                view.update(pose, 1 / 300);
                shown.push(morphs().jawOpen);
              }
            }
            return shown;
        }"""
    )
    page.evaluate("() => { stage.frugal = true; }")
    assert np.diff(steps[30:]).max() < 0.025
    assert np.diff(steps).min() >= -1e-6
    assert steps[-1] == pytest.approx(1.0, abs=0.02)


def test_a_result_without_an_avatar_or_with_a_damaged_one_leaves_it(page: Any) -> None:
    page.evaluate("view.load('/vrm1')")
    page.evaluate("settle({coefficients: {jawOpen: 0.6}})")
    jaw = page.evaluate(
        """() => {
            view.update(null, 0.1);
            view.update({state: 'tracked', rotation: [0, 0, null, 1], position_m: [],
                         coefficients: [1, 2], eyes: 'ahead'}, 0.1);
            view.update({}, 1e9);
            view.object3D.updateWorldMatrix(true, true);
            return morphs().jawOpen;
        }"""
    )
    assert jaw == pytest.approx(0.6, abs=1e-4)
    assert np.isfinite(nose(page)).all()


def damaged(files: dict[str, bytes]) -> dict[str, tuple[bytes, str]]:
    vrm = files["/vrm1"]
    return {
        "empty.vrm": (b"", "no .vrm or .glb"),
        "picture.vrm": (b"\x89PNG" + bytes(100), "no .vrm or .glb"),
        "scene.glb": (b'{"asset": {"version": "2.0"}}', "export it as .glb"),
        "cut.vrm": (vrm[: len(vrm) // 2], "not whole"),
        "json.vrm": (vrm[:40] + b"\x00" * 40 + vrm[80:], "damaged"),
        "old.glb": (struct.pack("<4sII", b"glTF", 1, 20) + bytes(8), "glTF 2.0"),
        "draco.glb": (
            edited(vrm, lambda d: d.update(extensionsRequired=["KHR_draco_mesh_compression"])),
            "Draco",
        ),
        "parts.glb": (
            edited(vrm, lambda d: d.update(images=[{"uri": "https://example.com/x.png"}])),
            "other files",
        ),
        "nothing.glb": (
            edited(vrm, lambda d: d.update(scenes=[{"nodes": []}], extensions={})),
            "nothing to draw",
        ),
        "index.vrm": (
            edited(vrm, lambda d: d["meshes"][0]["primitives"][0].update(indices=999)),
            "damaged",
        ),
        "headless.vrm": (
            edited(
                vrm,
                lambda d: d["extensions"]["VRMC_vrm"]["humanoid"]["humanBones"].pop("head"),
            ),
            "damaged",
        ),
    }  # fmt: skip


@pytest.mark.slow
def test_a_damaged_file_is_said_and_the_avatar_stays(
    page: Any, files: dict[str, bytes], errors: list[str]
) -> None:
    page.evaluate("view.load('/vrm1')")
    page.evaluate("window.before = view.object3D.children[0]")
    for name, (content, words) in damaged(files).items():
        said = page.evaluate(
            """async ([name, bytes]) => {
                const content = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
                try {
                  await view.load(new File([content], name));
                } catch (error) {
                  return [error.constructor.name, error.message];
                }
                return null;
            }""",
            [name, base64(content)],
        )
        assert said is not None, name
        assert said[0] == "AvatarError", said
        assert name in said[1]
        assert words in said[1], said
        assert page.evaluate(
            "view.object3D.children.length === 1 && view.object3D.children[0] === before"
        )


def base64(content: bytes) -> str:
    from base64 import b64encode

    return b64encode(content).decode()


def test_an_avatar_that_the_server_has_not(page: Any) -> None:
    with pytest.raises(Exception, match="nothing of that name"):
        page.evaluate("view.load('/nowhere.vrm')")


def test_a_person_s_own_file_never_leaves_the_browser(
    page: Any, files: dict[str, bytes], asked: Asked, tmp_path: Any
) -> None:
    file = tmp_path / "mine.vrm"
    file.write_bytes(files["/vrm1"])
    page.evaluate(
        """() => {
            const input = document.createElement('input');
            Object.assign(input, {type: 'file', id: 'choose'});
            input.onchange = () => view.load(input.files[0]).then(() => { window.chosen = true; });
            document.body.append(input);
        }"""
    )
    before = len(asked.all)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.set_input_files("#choose", file)
    page.wait_for_function("window.chosen")
    page.evaluate("settle({coefficients: {jawOpen: 1}})")
    assert page.evaluate("morphs().jawOpen") == pytest.approx(1.0)
    assert asked.all[before:] == []
    assert all(url.startswith(("blob:", "data:")) for url in requests)


@pytest.mark.slow
def test_the_newest_of_two_loads_is_shown(page: Any) -> None:
    shown = page.evaluate(
        """Promise.all([view.load('/vrm0'), view.load('/glb')])
            .then((all) => [all, view.object3D.children.length])"""
    )
    assert shown == [[False, True], 1]
    assert page.evaluate("view._model.rig.vrm === undefined && !view.isLoading")


def test_it_is_drawn_a_head_and_shoulders_that_look_out_of_the_picture(page: Any) -> None:
    """Skin fills the middle, and at rest both halves are alike."""
    page.evaluate("view.load('/vrm1')")
    page.evaluate("settle()")
    pixels = page.evaluate(
        """() => {
            stage.invalidate();
            stage.renderer.render(stage.scene, stage.camera);
            const {canvas} = stage, copy = document.createElement('canvas');
            [copy.width, copy.height] = [120, 90];
            const ink = copy.getContext('2d');
            ink.drawImage(canvas, 0, 0, 120, 90);
            return Array.from(ink.getImageData(0, 0, 120, 90).data);
        }"""
    )
    alpha = np.array(pixels, dtype=np.uint8).reshape(90, 120, 4)[:, :, 3] > 128
    assert 0.15 < alpha.mean() < 0.7
    assert not alpha[:4].any()  # air above
    assert alpha[-4:, 40:80].all()  # shoulders go on below
    assert (alpha == alpha[:, ::-1]).mean() > 0.95
