// What a person takes along: pictures, films and 3D files.

/** A file name with the time in it. */
export function named(ending, now = new Date()) {
  const two = (n) => String(n).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  return `rtrecon-${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}.${ending}`;
}

export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * Fetch a 3D file of the server's and save it.
 *
 * @throws {Error} with the server's words
 */
export async function downloadFrom(path) {
  let answer;
  try {
    answer = await fetch(withToken(path));
  } catch {
    throw new Error("The server does not answer.");
  }
  if (!answer.ok) {
    const words = (await answer.text()).trim().slice(0, 300);
    throw new Error(words || `The server has no such file (${answer.status}).`);
  }
  const name = named(path.split(".").pop());
  download(await answer.blob(), name);
  return name;
}

/** A path of this server's, with the token of the page's address where there is one. */
export function withToken(path) {
  const token = new URLSearchParams(window.location.search).get("token");
  return token ? `${path}?${new URLSearchParams({ token })}` : path;
}

const KINDS = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];

/** Records a canvas. */
export class Recording {
  #recorder = null;

  get isOn() {
    return this.#recorder !== null;
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(blob: Blob, name: string) => void} done
   * @throws {Error} this browser cannot
   */
  start(canvas, done) {
    const kind = window.MediaRecorder && canvas.captureStream && KINDS.find((name) => MediaRecorder.isTypeSupported(name));
    if (!kind) throw new Error("This browser records no pages.");
    const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: kind, videoBitsPerSecond: 8_000_000 });
    const parts = [];
    recorder.ondataavailable = ({ data }) => data.size && parts.push(data);
    recorder.onstop = () => {
      this.#recorder = null;
      const type = kind.split(";")[0];
      done(new Blob(parts, { type }), named(type === "video/mp4" ? "mp4" : "webm"));
    };
    recorder.start(1000);
    this.#recorder = recorder;
  }

  stop() {
    this.#recorder?.stop();
  }
}
