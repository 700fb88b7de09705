"""The headset's view, on a headset in software: iwer, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")

import web_page

from rtrecon.head.model import head_model
from rtrecon.head.rigging import rig_head
from rtrecon.head.vrm import VrmMeta, encode_vrm
from tests.outputs.web.page_modules import STAGE, open_page, serve

IWER = Path(__file__).resolve().parents[2] / "data" / "web" / "iwer.min.js"
pytestmark = [
    pytest.mark.skipif(bool(web_page.why_no_browser()), reason=web_page.why_no_browser()),
    pytest.mark.timeout(600),
]

DEVICE = """
window.device = new IWER.XRDevice(IWER.metaQuest3);
device.installRuntime({forceInstall: true});
device.stereoEnabled = true;
"""
# Two eyes of a face before the camera, 63 mm apart at 0.5 m: the person's left one is green.
SETUP = """async () => {
  const THREE = await import('three');
  const {setUpXr} = await import('/static/xr.js');
  const group = new THREE.Group();
  const ball = (x, color) => {
    const mesh = new THREE.Mesh(new THREE.SphereGeometry(0.012, 12, 8),
                                new THREE.MeshBasicMaterial({color}));
    mesh.position.set(x, 0, 0.5);
    group.add(mesh);
  };
  ball(0.0315, 0x00ff00);
  ball(-0.0315, 0xff0000);
  stage.faces.add(group);
  stage.follow(0, 0.03, 0.55);
  stage.show('face');
  document.body.insertAdjacentHTML('beforeend', '<span id="xr"></span>');
  const page = {
    view: 'face', said: [], mirrored: 0,
    setView(what) { page.view = what; stage.show(what === 'avatar' ? 'avatar' : 'face'); },
    mirror() { page.mirrored += 1; stage.mirror = !stage.mirror; },
    say(words) { page.said.push(words); },
  };
  const headset = await setUpXr(stage, page);
  window.drawn = 0;
  stage.addEventListener('drawn', () => { window.drawn += 1; });
  // After so many more pictures, with the pixels of the last.
  const frames = (count = 3) => new Promise((done) => {
    const on = () => {
      if (!stage.renderer.xr.isPresenting) stage.invalidate();
      if (--count > 0) return;
      stage.removeEventListener('drawn', on);
      const gl = stage.renderer.getContext();
      const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
      const pixels = new Uint8Array(width * height * 4);
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
      done({width, height, pixels});
    };
    stage.addEventListener('drawn', on);
    stage.invalidate();
  });
  // Of each half of the picture: how many pixels are there, and the middle of each colour.
  const look = async (count) => {
    const {width, height, pixels} = await frames(count);
    const of = (x0, x1) => {
      const found = {lit: 0, green: [0, 0, 0], red: [0, 0, 0]};
      for (let y = 0; y < height; y += 1) {
        for (let x = x0; x < x1; x += 1) {
          const at = 4 * (y * width + x);
          const [r, g, b] = [pixels[at], pixels[at + 1], pixels[at + 2]];
          if (r + g + b > 150) found.lit += 1;
          const plain = (one, other) => one > 180 && other < 60 && b < 60;
          const color = plain(g, r) ? 'green' : plain(r, g) ? 'red' : null;
          if (color) {
            found[color][0] += x - x0; found[color][1] += y; found[color][2] += 1;
          }
        }
      }
      for (const color of ['green', 'red']) {
        const [x, y, n] = found[color];
        found[color] = n ? [x / n + 0.5, y / n + 0.5] : null;
      }
      return found;
    };
    return {left: of(0, width / 2), right: of(width / 2, width), width, height};
  };
  const focal = () => {
    const [eye] = stage.renderer.xr.getCamera().cameras;
    return eye.projectionMatrix.elements[0] * eye.viewport.z / 2;
  };
  Object.assign(window, {THREE, group, page, headset, frames, look, focal});
}"""


@pytest.fixture(scope="module")
def avatar() -> bytes:
    model = head_model()
    texture = np.full((64, 64, 3), (214, 168, 142), dtype=np.uint8)
    return encode_vrm(rig_head(model, model.vertices, texture), VrmMeta("Test", "Test"))


@pytest.fixture(scope="module")
def errors() -> list[str]:
    return []


@pytest.fixture(scope="module")
def page(avatar: bytes, errors: list[str]) -> Iterator[Any]:
    init = IWER.read_text(encoding="utf-8") + DEVICE
    with serve({"/vrm": avatar}) as url, open_page(url, init=init, errors=errors) as page:
        page.evaluate(STAGE)
        page.evaluate(SETUP)
        yield page


@pytest.fixture(autouse=True)
def from_the_beginning(page: Any, errors: list[str]) -> Iterator[None]:
    page.evaluate(
        """() => {
            page.setView('face');
            stage.mirror = false;
            device.position.set(0, 1.6, 0);
            device.quaternion.set(0, 0, 0, 1);
            device.primaryInputMode = 'controller';
            for (const [side, x] of [['left', -0.25], ['right', 0.25]]) {
              device.controllers[side].position.set(x, 1.3, -0.3);
              device.controllers[side].quaternion.set(0, 0, 0, 1);
            }
        }"""
    )
    yield
    page.evaluate("headset.leave()")
    assert not errors


def enter(page: Any, kind: str = "vr") -> dict[str, Any]:
    page.click(f"#enter-{kind}")
    page.wait_for_function("headset.frames > 2")
    assert page.evaluate("page.said") == []
    return page.evaluate("look()")


def test_what_the_browser_offers_has_a_button(page: Any) -> None:
    assert page.evaluate("headset.offers()") == {"vr": True, "ar": True, "why": ""}
    labels = page.locator("#xr button").all_inner_texts()
    assert [label.strip() for label in labels] == ["VR", "AR"]


def test_both_eyes_see_the_face_each_from_its_place(page: Any) -> None:
    seen = enter(page)
    focal_px = page.evaluate("focal()")
    ipd_m = page.evaluate("device.ipd")
    for eye in ("left", "right"):
        assert seen[eye]["green"] is not None
        assert seen[eye]["red"] is not None
    parallax = seen["left"]["green"][0] - seen["right"]["green"][0]
    assert parallax == pytest.approx(focal_px * ipd_m / 0.7, rel=0.1)


def test_it_has_its_true_size_and_looks_at_the_viewer_unmirrored(page: Any) -> None:
    seen = enter(page)["left"]
    wide_px = seen["green"][0] - seen["red"][0]  # the person's left is at the viewer's right
    assert wide_px == pytest.approx(page.evaluate("focal()") * 0.063 / 0.7, rel=0.05)
    height = page.evaluate("stage.renderer.getContext().drawingBufferHeight")
    assert seen["green"][1] == pytest.approx(height / 2, abs=3)  # at eye height
    page.evaluate("stage.mirror = true")
    seen = page.evaluate("look()")["left"]
    assert seen["green"][0] - seen["red"][0] == pytest.approx(-wide_px, abs=2)


@pytest.mark.slow
def test_wherever_the_viewer_stands_and_looks_it_is_before_them(page: Any) -> None:
    page.evaluate(
        """() => {
            device.position.set(2, 1.1, -3);
            device.quaternion.setFromEuler?.(0, 0, 0);
            const turn = new THREE.Quaternion().setFromEuler(new THREE.Euler(0.3, 2.2, 0.1, 'YXZ'));
            device.quaternion.set(turn.x, turn.y, turn.z, turn.w);
        }"""
    )
    enter(page)
    at = page.evaluate("group.children[0].getWorldPosition(new THREE.Vector3()).toArray()")
    ahead = np.array([-np.sin(2.2), 0.0, -np.cos(2.2)])
    right = np.array([np.cos(2.2), 0.0, -np.sin(2.2)])
    assert at == pytest.approx(np.array([2, 1.1, -3]) + 0.7 * ahead + 0.0315 * right, abs=0.005)
    page.evaluate("device.position.set(0, 1.6, 0); device.quaternion.set(0, 0, 0, 1)")
    page.evaluate("frames()")
    assert page.evaluate("group.children[0].getWorldPosition(new THREE.Vector3()).toArray()") == at
    page.evaluate("headset.reset()")
    page.evaluate("frames()")
    at = page.evaluate("group.children[0].getWorldPosition(new THREE.Vector3()).toArray()")
    assert at == pytest.approx([0.0315, 1.6, -0.7], abs=0.005)


@pytest.mark.slow
def test_a_head_that_moves_sees_something_else(page: Any) -> None:
    before = enter(page)["left"]
    page.evaluate("device.position.set(0.1, 1.6, 0)")
    after = page.evaluate("look()")["left"]
    moved = before["green"][0] - after["green"][0]
    assert moved == pytest.approx(page.evaluate("focal()") * 0.1 / 0.7, rel=0.1)


def test_it_ends_and_the_page_is_as_before(page: Any) -> None:
    state = """() => [
        stage.root.matrix.elements, stage.camera.position.toArray(), stage.camera.fov,
        stage.camera.quaternion.toArray(), stage.scene.background,
        stage.scene.children.map((child) => child.uuid), page.view,
        stage.canvas.width, stage.canvas.height, stage.canvas.parentElement.id,
        stage.avatar.position.toArray(), group.matrix.elements,
    ]"""
    page.evaluate("frames()")
    before = page.evaluate(state)
    enter(page)
    page.evaluate("page.setView('avatar')")
    page.evaluate("frames()")
    page.evaluate("headset.leave()")
    seen = page.evaluate("look()")
    assert seen["left"]["red"] is not None  # it draws on
    after = page.evaluate(state)
    for was, now in zip(before, after, strict=True):
        assert now == (pytest.approx(was, abs=1e-6) if isinstance(was, list) and was
                       and not isinstance(was[0], str) else was)  # fmt: skip
    assert page.get_attribute("#enter-vr", "aria-pressed") == "false"
    enter(page)  # and it can begin again
    assert page.get_attribute("#enter-vr", "aria-pressed") == "true"


def test_in_ar_what_is_not_the_face_is_the_room(page: Any) -> None:
    enter(page, "ar")
    clear = page.evaluate(
        """frames().then(({pixels}) => {
            let clear = 0;
            for (let at = 3; at < pixels.length; at += 4) if (pixels[at] === 0) clear += 1;
            return clear / (pixels.length / 4);
        })"""
    )
    assert clear > 0.5
    assert page.evaluate("stage.scene.background") is None


@pytest.mark.slow
def test_the_avatar_is_there_too_at_its_true_size(page: Any) -> None:
    page.evaluate("view.load('/vrm')")
    page.evaluate("page.setView('avatar')")
    page.evaluate("stage.frameAvatar({above_m: 0.4})")  # smaller on the screen
    enter(page)
    eyes = page.evaluate(
        """() => {
            view.object3D.updateWorldMatrix(true, true);
            const at = view._model.rig.eyes.map((eye) => eye.getWorldPosition(new THREE.Vector3()));
            return [at[0].distanceTo(at[1]), at[0].add(at[1]).multiplyScalar(0.5).toArray()];
        }"""
    )
    assert eyes[0] == pytest.approx(0.063, rel=0.15)
    assert eyes[1] == pytest.approx([0.0, 1.6, -0.712], abs=0.01)
    seen = page.evaluate("look()")
    for eye in ("left", "right"):
        assert seen[eye]["lit"] > 500  # drawn, and with light on it
        assert seen[eye]["red"] is None


def press(page: Any, side: str, button: str, value: float) -> None:
    page.evaluate(
        "async ([side, button, value]) => {"
        " device.controllers[side].updateButtonValue(button, value); await frames(3); }",
        [side, button, value],
    )


def test_a_hand_takes_it_along(page: Any) -> None:
    enter(page)
    before = page.evaluate("stage.root.position.toArray()")
    press(page, "right", "squeeze", 1)
    page.evaluate("device.controllers.right.position.set(0.45, 1.4, -0.3); frames(3)")
    page.evaluate("frames(3)")
    moved = np.subtract(page.evaluate("stage.root.position.toArray()"), before)
    assert moved == pytest.approx([0.2, 0.1, 0.0], abs=0.005)
    press(page, "right", "squeeze", 0)
    page.evaluate("device.controllers.right.position.set(0, 1.4, -0.3); frames(3)")
    page.evaluate("frames(3)")
    assert np.subtract(page.evaluate("stage.root.position.toArray()"), before) == pytest.approx(
        moved
    )
    press(page, "right", "b-button", 1)  # back again
    page.evaluate("frames(3)")
    press(page, "right", "b-button", 0)
    assert page.evaluate("stage.root.position.toArray()") == pytest.approx(before, abs=1e-4)


@pytest.mark.slow
def test_two_hands_scale_it(page: Any) -> None:
    before = enter(page)["left"]
    press(page, "left", "trigger", 1)
    press(page, "right", "trigger", 1)
    page.evaluate(
        """() => {
            device.controllers.left.position.set(-0.5, 1.3, -0.3);
            device.controllers.right.position.set(0.5, 1.3, -0.3);
        }"""
    )
    after = page.evaluate("look(4)")["left"]
    assert page.evaluate("stage.root.scale.x") == pytest.approx(2.0, rel=0.02)
    wider = (after["green"][0] - after["red"][0]) / (before["green"][0] - before["red"][0])
    assert wider > 1.7
    press(page, "left", "trigger", 0)
    press(page, "right", "trigger", 0)


@pytest.mark.slow
def test_a_thumbstick_turns_it(page: Any) -> None:
    enter(page)
    page.evaluate("device.controllers.left.updateAxes('thumbstick', 1, 0)")
    page.wait_for_function("Math.abs(stage.root.rotation.y) > 0.2")
    page.evaluate("device.controllers.left.updateAxes('thumbstick', 0, 0)")
    assert page.evaluate("stage.root.scale.x") == 1


@pytest.mark.slow
def test_buttons_in_the_room(page: Any) -> None:
    """The right hand points at the first of them, and pulls the trigger; at none, it grabs."""
    enter(page)
    aim = """(share) => {
        const panel = stage.scene.getObjectByName('panel');
        panel.updateWorldMatrix(true, false);
        const {width} = panel.geometry.parameters;
        const to = panel.localToWorld(new THREE.Vector3((share - 0.5) * width, 0, 0));
        const {right} = device.controllers;
        const from = new THREE.Vector3(0.25, 1.3, -0.3);
        const turn = new THREE.Quaternion().setFromUnitVectors(
          new THREE.Vector3(0, 0, -1), to.sub(from).normalize());
        right.quaternion.set(turn.x, turn.y, turn.z, turn.w);
    }"""
    page.evaluate(aim, 0.1)
    page.evaluate("frames(3)")
    press(page, "right", "trigger", 1)
    assert page.evaluate("page.view") == "avatar"
    press(page, "right", "trigger", 0)
    page.evaluate(aim, 0.35)
    page.evaluate("frames(3)")
    press(page, "right", "trigger", 1)
    press(page, "right", "trigger", 0)
    assert page.evaluate("page.mirrored") == 1
    press(page, "right", "a-button", 1)
    press(page, "right", "a-button", 0)
    assert page.evaluate("page.view") == "face"
    page.evaluate(aim, 0.9)
    page.evaluate("frames(3)")
    page.evaluate("device.controllers.right.updateButtonValue('trigger', 1)")
    page.wait_for_function("!headset.isPresenting")
    page.evaluate("device.controllers.right.updateButtonValue('trigger', 0)")


@pytest.mark.slow
def test_bare_hands_pinch(page: Any) -> None:
    page.evaluate("device.primaryInputMode = 'hand'")
    enter(page)
    before = page.evaluate("stage.root.position.toArray()")
    page.evaluate("device.hands.right.position.set(0.3, 1.3, -0.3); frames(3)")
    page.evaluate("device.hands.right.updatePinchValue(1); frames(3)")
    page.evaluate("frames(3)")
    page.evaluate("device.hands.right.position.set(0.3, 1.5, -0.3); frames(3)")
    page.evaluate("frames(3)")
    moved = np.subtract(page.evaluate("stage.root.position.toArray()"), before)
    page.evaluate("device.hands.right.updatePinchValue(0)")
    assert moved == pytest.approx([0.0, 0.2, 0.0], abs=0.02)


def test_between_results_the_face_goes_on_by_its_pose(page: Any) -> None:
    """Ten frames a result: what is drawn moves evenly, and is where the result says at its end."""
    places = page.evaluate(
        """async () => {
            const {FaceBlends} = await import('/static/xr_pose.js');
            const faces = new THREE.Group(), face = new THREE.Group();
            faces.add(face);
            const blends = new FaceBlends(), places = [];
            const point = new THREE.Vector3();
            for (let result = 0; result < 8; result += 1) {
              const x = 0.01 * result, a = 0.05 * result, [c, s] = [Math.cos(a), Math.sin(a)];
              face.userData.T = [c, 0, s, x, 0, 1, 0, 0, -s, 0, c, 0.5, 0, 0, 0, 1];
              for (let k = 0; k < 10; k += 1) {
                blends.step(faces, 1 / 300);
                // Where the newest surface has the face's origin.
                places.push(point.set(x, 0, 0.5).applyMatrix4(face.matrix).x);
              }
            }
            blends.end();
            return {places, rest: face.matrix.elements};
        }"""
    )
    steps = np.diff(places["places"])
    assert steps[20:].max() < 0.0025
    assert steps[20:].min() > -1e-6
    assert places["places"][-1] == pytest.approx(0.07, abs=0.002)
    assert places["rest"] == pytest.approx(np.eye(4).reshape(-1))


@pytest.mark.slow
def test_a_headset_that_is_busy_or_says_no_is_said(page: Any) -> None:
    page.evaluate(
        """() => {
            window.request = navigator.xr.requestSession;
            navigator.xr.requestSession = () => Promise.reject(
              new DOMException('no', 'NotSupportedError'));
        }"""
    )
    page.click("#enter-vr")
    page.wait_for_function("page.said.length > 0")
    assert "does not offer" in page.evaluate("page.said.pop()")
    page.evaluate("() => { navigator.xr.requestSession = window.request; }")
    assert page.evaluate("look().then((seen) => seen.left.red !== null)")
    enter(page)


@pytest.mark.slow
def test_a_browser_without_webxr_has_no_button(page: Any) -> None:
    other = page.context.browser.new_page()
    other.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'xr', {get: () => undefined});"
    )
    other.goto(page.url)
    other.evaluate(STAGE)
    other.evaluate(SETUP)
    offers = other.evaluate("headset.offers()")
    assert not offers["vr"]
    assert "WebXR" in offers["why"]
    assert other.locator("#xr button").count() == 0
    other.close()
