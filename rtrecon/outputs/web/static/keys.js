// The keyboard; what each key does stands in the page's help.

const TURN_RAD = 0.12;

export function bindKeys(page, controls) {
  const keys = {
    1: () => page.setView("picture"),
    2: () => page.setView("face"),
    3: () => page.setView("avatar"),
    m: () => page.toggle("mesh"),
    w: () => page.toggle("wire"),
    d: () => page.toggle("depth"),
    l: () => page.toggle("light"),
    b: () => page.setPanel(document.getElementById("panel").hidden),
    c: () => page.calibrate(),
    x: () => page.mirror(),
    s: () => controls.snapshot(),
    r: () => controls.record(),
    f: () => controls.fullscreen(),
    "?": () => controls.help(),
    0: () => page.stage.resetView(),
    "+": () => page.stage.zoom(0.9),
    "=": () => page.stage.zoom(0.9),
    "-": () => page.stage.zoom(1 / 0.9),
    arrowleft: () => page.stage.turn(-TURN_RAD, 0),
    arrowright: () => page.stage.turn(TURN_RAD, 0),
    arrowup: () => page.stage.turn(0, TURN_RAD),
    arrowdown: () => page.stage.turn(0, -TURN_RAD),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const isMoving = /^(arrow|[+=-])/.test(event.key.toLowerCase());
    if (event.repeat && !isMoving) return;
    if (document.querySelector("dialog[open]") && event.key !== "?") return;
    const act = keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

const isTyping = (target) => target.closest?.("input, select, textarea, [role=menu]") != null;
