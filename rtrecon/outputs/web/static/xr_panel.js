// The buttons that stand in the room, for hands and controllers alike.

import { CanvasTexture, Mesh, MeshBasicMaterial, PlaneGeometry, Raycaster, SRGBColorSpace } from "three";

const BUTTON_PX = [168, 96], GAP_PX = 12;
const BUTTON_M = 0.075; // wide

export class Panel {
  #buttons;
  #hot = -1;
  #raycaster = new Raycaster();

  /** @param {{label: () => string, press: () => void}[]} buttons */
  constructor(buttons) {
    this.#buttons = buttons;
    const [width, height] = [buttons.length * (BUTTON_PX[0] + GAP_PX) + GAP_PX, BUTTON_PX[1] + 2 * GAP_PX];
    this.canvas = Object.assign(document.createElement("canvas"), { width, height });
    this.texture = new CanvasTexture(this.canvas);
    this.texture.colorSpace = SRGBColorSpace;
    const metres = BUTTON_M / BUTTON_PX[0];
    this.object3D = new Mesh(
      new PlaneGeometry(width * metres, height * metres),
      new MeshBasicMaterial({ map: this.texture, transparent: true, toneMapped: false }),
    );
    this.object3D.name = "panel";
    this.draw();
  }

  /** Which button a ray points at. @returns {{index: number, distance_m: number} | null} */
  at(ray) {
    this.#raycaster.ray.copy(ray);
    const [hit] = this.#raycaster.intersectObject(this.object3D);
    if (!hit) return null;
    const index = Math.min(Math.floor(hit.uv.x * this.#buttons.length), this.#buttons.length - 1);
    return { index, distance_m: hit.distance };
  }

  press(index) {
    this.#buttons[index]?.press();
    this.draw();
  }

  /** @param {number} index of the button that is pointed at; -1 for none */
  heat(index) {
    if (index === this.#hot) return;
    this.#hot = index;
    this.draw();
  }

  draw() {
    const ink = this.canvas.getContext("2d");
    ink.clearRect(0, 0, this.canvas.width, this.canvas.height);
    ink.font = "600 30px system-ui, sans-serif";
    ink.textAlign = "center";
    ink.textBaseline = "middle";
    this.#buttons.forEach(({ label }, k) => {
      const [width, height] = BUTTON_PX;
      const x = GAP_PX + k * (width + GAP_PX);
      ink.fillStyle = k === this.#hot ? "#7fd4c1" : "#1c232dee";
      ink.beginPath();
      ink.roundRect(x, GAP_PX, width, height, 18);
      ink.fill();
      ink.fillStyle = k === this.#hot ? "#0e1116" : "#e8edf2";
      ink.fillText(label(), x + width / 2, GAP_PX + height / 2, width - 16);
    });
    this.texture.needsUpdate = true;
  }

  dispose() {
    this.object3D.removeFromParent();
    this.object3D.geometry.dispose();
    this.object3D.material.dispose();
    this.texture.dispose();
  }
}
