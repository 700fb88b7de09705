#!/usr/bin/env python3
"""A sheet of all shape keys of a GLB as Blender imports and draws them, and what they move.

Usage: pip install bpy (of a Python that it supports), then sheet_in_blender.py FILE.glb OUT.png
Exit code 1 where a shape moves nothing or a bone is missing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

CELL, COLUMNS = 200, 9
OPEN = {"tongueOut": 0.7, "mouthClose": 1.0}


def main() -> None:
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(source.resolve()))
    mesh = next(o for o in bpy.data.objects if o.type == "MESH" and o.data.shape_keys)
    armature = next(o for o in bpy.data.objects if o.type == "ARMATURE")
    bones = set(armature.data.bones.keys())
    missing = {"Neck", "Head", "LeftEye", "RightEye"} - bones
    keys = [key for key in mesh.data.shape_keys.key_blocks if key.name != "Basis"]
    print(f"{len(mesh.data.vertices)} vertices, {len(keys)} shape keys, bones {sorted(bones)}")
    print(f"actions: {[action.name for action in bpy.data.actions]}")
    for action in list(bpy.data.actions):
        bpy.data.actions.remove(action)
    rest = points(mesh.data.shape_keys.key_blocks["Basis"])
    still = []
    for key in keys:
        moved = np.linalg.norm(points(key) - rest, axis=1)
        at = (rest * moved[:, None]).sum(axis=0) / max(moved.sum(), 1e-9)
        place = " ".join(f"{1e3 * v:.0f}" for v in at)
        print(f"{key.name:22} {1e3 * moved.max():6.1f} mm, about {place}")
        if moved.max() < 5e-4:
            still.append(key.name)
    eyes = armature.matrix_world @ (
        (armature.data.bones["LeftEye"].head_local + armature.data.bones["RightEye"].head_local) / 2
    )
    set_up(eyes)
    cells = [shot()]
    for key in keys:
        weights = {key.name: 1.0}
        if key.name in OPEN:
            weights["jawOpen"] = OPEN[key.name]
        for name, value in weights.items():
            mesh.data.shape_keys.key_blocks[name].value = value
        cells.append(shot())
        for name in weights:
            mesh.data.shape_keys.key_blocks[name].value = 0.0
    cells += [np.ones_like(cells[0])] * (-len(cells) % COLUMNS)
    rows = [np.hstack(cells[k : k + COLUMNS]) for k in range(0, len(cells), COLUMNS)]
    save(np.vstack(rows), out)
    if missing or still or len(keys) != 52:
        raise SystemExit(f"missing bones {missing}, still {still}, {len(keys)} keys")


def points(key) -> np.ndarray:
    flat = np.empty(3 * len(key.data), dtype=np.float32)
    key.data.foreach_get("co", flat)
    return flat.reshape(-1, 3)


def set_up(eyes: Vector) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 4
    scene.cycles.use_denoising = False
    scene.render.resolution_x = scene.render.resolution_y = CELL
    scene.view_settings.view_transform = "Standard"
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.6, 0.6, 0.6, 1.0)
    scene.world = world
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.angle = np.radians(18.0)
    # Blender's z is up; the face looks along -y.
    camera.location = eyes + Vector((0.36, -1.0, -0.02))
    aim = eyes + Vector((0.0, 0.05, -0.045)) - camera.location
    camera.rotation_euler = aim.to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(camera)
    scene.camera = camera
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy = 2.5
    sun.rotation_euler = (np.radians(50.0), 0.0, np.radians(25.0))
    scene.collection.objects.link(sun)


def shot() -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shot.png"
        bpy.context.scene.render.filepath = str(path)
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(str(path))
        pixels = np.array(image.pixels[:]).reshape(CELL, CELL, 4)[::-1, :, :3].copy()
        bpy.data.images.remove(image)
    return pixels


def save(pixels: np.ndarray, out: Path) -> None:
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("sheet", width, height)
    image.pixels = (
        np.concatenate([pixels[::-1], np.ones((height, width, 1))], axis=2).ravel().tolist()
    )
    image.filepath_raw, image.file_format = str(out.resolve()), "PNG"
    image.save()


if __name__ == "__main__":
    main()
