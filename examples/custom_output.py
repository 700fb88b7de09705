"""An output of your own: a line in a file when a smile begins or ends. In a package of yours,
pyproject.toml gives it its name for ``rtrecon run --out smile:log.txt?least=0.3``:

    [project.entry-points."rtrecon.outputs"]
    smile = "my_package:SmileOutput"

Install:  pip install 'rtrecon[cpu]'
Run:      python custom_output.py [SOURCE]
"""

import sys

import rtrecon


class SmileOutput(rtrecon.Output):
    """`open`, `write` and `close` come on one thread; no queue or lock is needed."""

    name, summary = "smile", "a line whenever a smile begins or ends"
    needs_pictures = False  # coefficients will do: it can be fed from a take without pictures

    def __init__(self, target: str = "smiles.txt", *, least: float = 0.5) -> None:
        self._path, self._least, self._smiles = target, least, False

    def open(self, run: rtrecon.Run) -> None:
        self._file = open(self._path, "w", encoding="utf-8")

    def write(self, result: rtrecon.LiveResult) -> None:
        smile = max((f.expression["mouthSmileLeft"] for f in result.faces), default=0.0)
        if (smile >= self._least) != self._smiles:
            self._smiles = not self._smiles
            self._file.write(f"{result.frame.index} {'begins' if self._smiles else 'ends'}\n")

    def close(self) -> None:
        self._file.close()


with rtrecon.live(sys.argv[1] if len(sys.argv) > 1 else 0, outputs=[SmileOutput()]) as session:
    session.wait()
