#!/usr/bin/env python3
"""Prints the licences of what is built into a program: `notices.py CRATE [NODE_MODULES PACKAGE…]`.

The crates below CRATE as cargo resolves them for this platform (build scripts and procedural macros left out), and the
named packages of a node_modules folder. Each licence text is printed once, with whose it is.
"""

import json
import pathlib
import subprocess
import sys
from collections import defaultdict

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE")


def metadata() -> dict:
    host = next(
        line.split()[1] for line in subprocess.check_output(["rustc", "-vV"], text=True).splitlines() if line.startswith("host:")
    )
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host]
    return json.loads(subprocess.check_output(command, cwd=ROOT))


def built_in(graph: dict, crate: str) -> list[dict]:
    """The foreign crates that end up in the program."""
    packages = {package["id"]: package for package in graph["packages"]}
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    members = set(graph["workspace_members"])
    left = [identity for identity in members if packages[identity]["name"] == crate]
    if len(left) != 1:
        sys.exit(f"notices.py: there is no crate {crate}")
    seen = set(left)
    while left:
        for dependency in nodes[left.pop()]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            targets = {kind for target in packages[dependency["pkg"]]["targets"] for kind in target["kind"]}
            if None in kinds and "proc-macro" not in targets and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                left.append(dependency["pkg"])
    found = [packages[identity] for identity in seen - members]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def texts(folder: pathlib.Path) -> list[str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.upper().startswith(NAMES))
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in files]


def main() -> None:
    crate, *rest = sys.argv[1:] or sys.exit(__doc__)
    works = []
    for package in built_in(metadata(), crate):
        name = f"{package['name']} {package['version']}"
        works.append((name, package["license"], package["repository"] or "", texts(pathlib.Path(package["manifest_path"]).parent)))
    for name in rest[1:]:
        folder = pathlib.Path(rest[0]) / name
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        works.append((f"{name} {about['version']} (JavaScript)", about["license"], about.get("homepage", ""), texts(folder)))
    whose = defaultdict(list)
    print("This program has these works built into it.\n")
    for name, licence, place, found in works:
        print(f"{name}: {licence}{f', {place}' if place else ''}")
        for text in found:
            whose[text].append(name)
    for text, names in whose.items():
        print(f"\n{'=' * 100}\n{', '.join(names)}\n{'-' * 100}\n{text}")


if __name__ == "__main__":
    main()
