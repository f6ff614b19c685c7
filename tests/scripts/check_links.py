#!/usr/bin/env python3
"""Checks that relative links in the repository's Markdown files lead to files, and anchors to headings."""

import pathlib
import re
import sys
from urllib.parse import unquote

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = {"target", "node_modules", ".git", ".venv", "dist"}
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")


def anchors(text: str) -> set[str]:
    """The anchors of a file's headings, formed the way code hosts form them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+\s+(.*?)\s*#*$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        unique, number = slug, 0
        while unique in found:
            number += 1
            unique = f"{slug}-{number}"
        found.add(unique)
    return found


def problems_of(file: pathlib.Path) -> list[str]:
    text = file.read_text(encoding="utf-8")
    prose = CODE.sub("", FENCE.sub("", text))
    problems = []
    for link in LINK.findall(prose) + REFERENCE.findall(prose):
        if re.match(r"[a-z][a-z0-9+.-]*:", link, re.IGNORECASE):
            continue
        path, _, anchor = unquote(link).partition("#")
        goal = (file.parent / path).resolve() if path else file
        if path.startswith("/") or not goal.exists():
            problems.append(f"{file.relative_to(ROOT)}: {link} leads nowhere")
        elif anchor and goal.suffix == ".md" and anchor not in anchors(goal.read_text(encoding="utf-8")):
            problems.append(f"{file.relative_to(ROOT)}: {link}: no such heading")
    return problems


def main() -> int:
    files = [f for f in sorted(ROOT.rglob("*.md")) if not SKIPPED & set(f.relative_to(ROOT).parts)]
    problems = [problem for file in files for problem in problems_of(file)]
    print("\n".join(problems))
    print(f"{len(files)} Markdown files, {len(problems)} broken links")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
