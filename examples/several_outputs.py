"""One run, several outputs: a recording, a table of coefficients, and avatars on the network.

Each has a thread of its own: one that is slow drops results, one that fails ends alone.
``rtrecon outputs`` lists what there is; on the command line they are ``--out NAME:TARGET``.

Install:  pip install 'rtrecon[cpu]'
Run:      python several_outputs.py [SOURCE]
"""

import sys

import rtrecon

outputs = [
    "record:recording",  # preview.mp4, poses.jsonl and the last face as PLY
    "csv:coefficients.csv",  # Live Link Face's table
    "vmc://127.0.0.1:39539?mirror=1",  # VSeeFace, Warudo, VNyan; nobody needs to listen
]
with rtrecon.live(sys.argv[1] if len(sys.argv) > 1 else 0, outputs=outputs) as session:
    for result in session:
        print(f"\r{result.frame.index} frames, {len(result.faces)} faces", end="", flush=True)
print()
for output in session.stats()["outputs"]:
    print(f"{output['name']}: {output['written']} written, {output['dropped']} dropped")
