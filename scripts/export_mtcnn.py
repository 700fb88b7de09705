"""Export facenet-pytorch's MTCNN to ONNX: models/mtcnn/{pnet,rnet,onet}.onnx and model.json.

Needs an environment of its own (torchvision pulls gigabytes):

    python3 -m venv mtcnn-env
    mtcnn-env/bin/pip install torchvision facenet-pytorch==2.5.3 onnx
    mtcnn-env/bin/python scripts/export_mtcnn.py

Picture normalisation and the order of channels are folded into the first convolution, so
that the networks take BGR pixels of 0 to 255 as float32.
"""

import argparse
import hashlib
import importlib.metadata
import json
from pathlib import Path

import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "models/mtcnn")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, network, size, outputs in (
        ("pnet", PNet(), 60, ["box", "probability"]),
        ("rnet", RNet(), 24, ["box", "probability"]),
        ("onet", ONet(), 48, ["box", "landmarks", "probability"]),
    ):
        network.eval()
        with torch.no_grad():
            weight, bias = network.conv1.weight, network.conv1.bias
            bias -= weight.sum(dim=(1, 2, 3)) * (127.5 * 0.0078125)
            weight *= 0.0078125
            weight.copy_(weight.flip(1).clone())
        axes = {"image": {0: "n"}} | {o: {0: "n"} for o in outputs}
        if name == "pnet":
            axes["image"] |= {2: "height", 3: "width"}
            for o in outputs:
                axes[o] |= {2: "rows", 3: "columns"}
        path = out / f"{name}.onnx"
        torch.onnx.export(
            network,
            (torch.rand(2, 3, size, size) * 255,),
            str(path),
            input_names=["image"],
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
        files[path.name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest = {
        "name": "mtcnn",
        "source": f"facenet-pytorch {importlib.metadata.version('facenet-pytorch')}, its own weights",
        "licence": "MIT",
        "input": "BGR float32 of 0 to 255, NCHW",
        "files": files,
    }
    (out / "model.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(manifest, indent=1))


if __name__ == "__main__":
    main()
