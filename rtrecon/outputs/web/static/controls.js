// Buttons, menus, files that are dropped: what a person does to the page.

import { bindKeys } from "./keys.js";
import { download, downloadFrom, named, Recording, withToken } from "./saving.js";

const $ = (id) => document.getElementById(id);

export class Controls {
  recording = new Recording();

  constructor(page) {
    this.page = page;
    this.#bind();
  }

  async snapshot() {
    const source = this.page.view === "picture" ? this.page.picture.canvas : null;
    try {
      const blob = source ? await new Promise((resolve) => source.toBlob(resolve, "image/png")) : await this.page.stage.snapshot();
      const name = named("png");
      download(blob, name);
      this.page.say(`Saved ${name}`);
    } catch (error) {
      this.page.say(`No snapshot: ${error.message}`, "bad");
    }
  }

  record() {
    const { recording } = this;
    const { stage } = this.page;
    if (recording.isOn) {
      recording.stop();
      return;
    }
    try {
      stage.withBackground(true);
      recording.start(this.page.view === "picture" ? this.page.picture.canvas : stage.canvas, (blob, name) => {
        stage.withBackground(false);
        $("record").setAttribute("aria-pressed", "false");
        download(blob, name);
        this.page.say(`Saved ${name}`);
      });
      $("record").setAttribute("aria-pressed", "true");
    } catch (error) {
      stage.withBackground(false);
      this.page.say(error.message, "bad");
    }
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen?.().catch((error) => this.page.say(`No full screen: ${error.message}`, "bad"));
  }

  help() {
    const dialog = $("help-dialog");
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }

  #menu(open) {
    const [menu, button] = [$("save-menu"), $("save")];
    menu.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    const box = button.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(box.left, window.innerWidth - menu.offsetWidth - 8))}px`;
    menu.querySelector("button").focus();
  }

  #bind() {
    const click = (id, act) => $(id).addEventListener("click", act);
    for (const button of document.querySelectorAll(".views button")) button.addEventListener("click", () => this.page.setView(button.dataset.view));
    for (const button of document.querySelectorAll("[data-toggle]")) button.addEventListener("click", () => this.page.toggle(button.dataset.toggle));
    for (const button of document.querySelectorAll(".swap")) button.addEventListener("click", () => this.page.setView(button.dataset.to));
    click("calibrate", () => this.page.calibrate());
    click("mirror", () => this.page.mirror());
    click("snapshot", () => this.snapshot());
    click("record", () => this.record());
    click("full", () => this.fullscreen());
    click("help", () => this.help());
    click("toggle-panel", () => this.page.setPanel($("panel").hidden));
    click("all-bars", () => {
      this.page.bars.showsAll = !this.page.bars.showsAll;
      $("all-bars").setAttribute("aria-pressed", String(this.page.bars.showsAll));
      this.page.bars.update(this.page.newest?.faces[0]?.coefficients ?? this.page.names.map(() => 0));
    });
    click("save", (event) => {
      event.stopPropagation();
      this.#menu($("save-menu").hidden);
    });
    document.addEventListener("click", () => this.#menu(false));
    $("save-menu").addEventListener("keydown", ({ key }) => {
      const items = [...document.querySelectorAll("#save-menu button")];
      const at = items.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[key];
      if (to !== undefined) items.at(to % items.length).focus();
      if (key === "Escape") {
        this.#menu(false);
        $("save").focus();
      }
    });
    for (const item of document.querySelectorAll("#save-menu button")) {
      item.addEventListener("click", async () => {
        this.page.say("Making the file …");
        await downloadFrom(item.dataset.file).then((name) => this.page.say(`Saved ${name}`), (error) => this.page.say(error.message, "bad"));
      });
    }
    document.addEventListener("fullscreenchange", () => $("full").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement))));
    $("start").addEventListener("submit", (event) => {
      event.preventDefault();
      this.page.cameraCard.start();
    });
    click("camera", () => (this.page.camera.isOn ? this.page.camera.stop() : this.page.cameraCard.start()));
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.page.cameraCard.listDevices());
    click("open-avatar", () => $("avatar-file").click());
    $("avatar-file").addEventListener("change", ({ target }) => {
      if (target.files[0]) this.page.openAvatar(target.files[0]);
      target.value = "";
    });
    click("own-avatar", () => {
      this.page.avatar?.load(withToken("/avatar.vrm")).then(() => ($("own-avatar").hidden = true), (error) => this.page.say(error.message, "bad"));
    });
    $("stage").addEventListener("dblclick", () => this.page.stage.resetView());
    this.#bindDrop();
    bindKeys(this.page, this);
  }

  #bindDrop() {
    const over = (on) => document.body.classList.toggle("dropping", on);
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      over(true);
    });
    document.addEventListener("dragleave", ({ relatedTarget }) => !relatedTarget && over(false));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      const [file] = event.dataTransfer?.files ?? [];
      if (file) this.page.openAvatar(file);
    });
  }
}
