#!/usr/bin/env python3
"""Checks licences, sources, bans, duplicates and the one TLS provider, by `cargo metadata` and tests/dependencies.toml."""

import json
import pathlib
import re
import subprocess
import sys
import tomllib
from collections import defaultdict

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLATFORM = "x86_64-unknown-linux-gnu"


def metadata(*flags: str) -> dict:
    command = ["cargo", "metadata", "--format-version", "1", "--locked", *flags]
    return json.loads(subprocess.check_output(command, cwd=ROOT))


def satisfied(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression (or the old `A/B` form, meaning OR) can be met from the allowed licences."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    tokens.append("end")

    def either() -> bool:
        result = both()
        while tokens[0] == "OR":
            tokens.pop(0)
            right = both()
            result = result or right
        return result

    def both() -> bool:
        result = one()
        while tokens[0] == "AND":
            tokens.pop(0)
            right = one()
            result = result and right
        return result

    def one() -> bool:
        name = tokens.pop(0)
        if name == "(":
            result = either()
            tokens.pop(0)
            return result
        if tokens[0] == "WITH":
            tokens.pop(0)
            name = f"{name} WITH {tokens.pop(0)}"
        return name in allowed

    return either() and tokens == ["end"]


def release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.split(r"[-+]", version)[0].split("."))


def compatible(version: str) -> str:
    """The part of a version that must differ for two crates to be incompatible: 1.2.3 → 1, 0.4.5 → 0.4."""
    major, minor, _ = release(version)
    return str(major) if major else f"0.{minor}"


def banned(package: dict, bans: dict[str, str]) -> str | None:
    rule = bans.get(package["name"])
    if rule is None:
        return None
    limit = re.match(r"<\s*([\d.]+):?\s*(.*)", rule)
    if not limit:
        return rule
    return limit[2] if release(package["version"]) < release(limit[1]) else None


def duplicates(packages: list[dict], written: dict[str, str]) -> list[str]:
    versions = defaultdict(set)
    for package in packages:
        versions[package["name"]].add(compatible(package["version"]))
    found = {name: sorted(which) for name, which in sorted(versions.items()) if len(which) > 1}
    for name, which in found.items():
        print(f"duplicate: {name} {', '.join(which)} ({written.get(name, 'NOT in tests/dependencies.toml')})")
    new = [f"{name}: versions {', '.join(which)}; remove one, or write down why not" for name, which in found.items() if name not in written]
    stale = [f"{name}: no longer a duplicate; remove its entry" for name in written if name not in found]
    return new + stale


def main() -> int:
    rules = tomllib.loads((ROOT / "tests/dependencies.toml").read_text(encoding="utf-8"))
    everything = metadata()
    members = set(everything["workspace_members"])
    foreign = [package for package in everything["packages"] if package["id"] not in members]
    problems = []
    for package in everything["packages"]:
        name = f"{package['name']} {package['version']}"
        licence = package["license"]
        if not licence or not satisfied(licence, set(rules["licences"]["allowed"])):
            problems.append(f"{name}: licence {licence!r} is not allowed")
        why = banned(package, rules["banned"])
        if why:
            problems.append(f"{name}: banned: {why}")
    for package in foreign:
        if package["source"] not in rules["sources"]["allowed"]:
            problems.append(f"{package['name']} {package['version']}: source {package['source']} is not allowed")
    linux = metadata("--filter-platform", PLATFORM)
    used = {node["id"] for node in linux["resolve"]["nodes"]}
    on_linux = [package for package in linux["packages"] if package["id"] in used]
    problems += duplicates(on_linux, rules["duplicates"])
    providers = sorted({p["name"] for p in foreign} & set(rules["tls"]["providers"]))
    if len(providers) > 1:
        problems.append(f"more than one TLS provider: {', '.join(providers)}")
    for problem in problems:
        print(f"problem: {problem}")
    print(f"{len(foreign)} crates, TLS provider: {', '.join(providers) or 'none'}, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
