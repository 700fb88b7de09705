// The card that asks for the camera, and what becomes of that.

import { CameraError } from "./camera.js";
import { debug } from "./debug.js";

const $ = (id) => document.getElementById(id);

export class CameraCard {
  constructor(page) {
    this.page = page;
  }

  /** @param {string} [deviceId] the one that is chosen, where it is left out */
  async start(deviceId = $("device").value) {
    $("camera-words").textContent = "";
    $("use-camera").disabled = true;
    try {
      await this.page.camera.start(deviceId);
      this.page.asksMirror = true; // people know their faces from mirrors
    } catch (error) {
      this.failed(error);
    } finally {
      $("use-camera").disabled = false;
      this.listDevices();
    }
  }

  failed(error) {
    debug.camera.error = error instanceof CameraError ? error.code : String(error?.message ?? error);
    const words = error?.message ?? String(error);
    if ($("start").hidden) this.page.say(words, "bad");
    $("camera-words").textContent = words;
    this.page.sayState();
  }

  async listDevices() {
    const devices = (await this.page.camera.devices().catch(() => [])).filter(({ deviceId }) => deviceId);
    $("devices").hidden = devices.length < 2;
    const chosen = $("device").value;
    const options = devices.map(({ deviceId, label }, k) => new Option(label || `camera ${k + 1}`, deviceId, false, deviceId === chosen));
    $("device").replaceChildren(...options);
  }
}
