#!/usr/bin/env python3
"""Prints `--test NAME …` for a part of the workspace's integration tests, the same for cargo test and nextest.

scenarios: what starts real binaries (tests/scenarios), but for the fuzz run, which is a stage of its own.
beside:    every other integration test.
"""

import json
import subprocess
import sys

metadata = json.loads(
    subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"])
)
parts = {"scenarios": [], "beside": []}
for package in metadata["packages"]:
    for target in package["targets"]:
        if target["kind"] != ["test"] or target["name"].startswith("fuzz_"):
            continue
        part = "scenarios" if "/scenarios/" in target["src_path"] else "beside"
        parts[part].append(target["name"])
print(" ".join(f"--test {name}" for name in sorted(parts[sys.argv[1]])))
