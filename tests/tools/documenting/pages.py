"""The pages: their headings, links and fenced blocks."""

import dataclasses
import pathlib
import re
import subprocess

import project
from console import Failure

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^()\s]+)\)")
FENCE = re.compile(r"^ *(`{3,}|~{3,}) *(.*)$")
MARKER = re.compile(r"<!-- ([a-z]+): ?(.*?) -->")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block. `marker`: (word, rest) of the comment `<!-- word: rest -->` above it."""

    page: pathlib.Path
    line: int
    language: str
    text: str
    heading: str
    marker: tuple

    @property
    def where(self):
        return f"{project.relative(self.page)}:{self.line}"


def pages():
    tracked = subprocess.run(["git", "-C", project.ROOT, "ls-files", "*.md"], capture_output=True, text=True)
    if tracked.returncode:
        raise Failure("this is no git repository: `git ls-files` names the documents")
    return [project.ROOT / line for line in tracked.stdout.splitlines()]


def blocks(page):
    """All fenced blocks of a page, whatever their language and however far they are indented."""
    found, heading, above, begun = [], "", "", None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if begun is None:
            if fence:
                begun = (number, fence[1], fence[2].strip(), [])
            elif line.startswith("#"):
                heading, above = line.lstrip("# "), ""
            elif line.strip():
                above = line
        elif fence and fence[1].startswith(begun[1]) and not fence[2]:
            marker = MARKER.fullmatch(above.strip())
            text = "".join(f"{inside}\n" for inside in begun[3])
            found.append(Block(page, begun[0], begun[2], text, heading, marker.groups() if marker else (None, "")))
            begun, above = None, ""
        else:
            begun[3].append(line)
    if begun:
        raise Failure(f"{project.relative(page)}:{begun[0]}: this block has no end")
    return found


def prose(page):
    """What stands outside of blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)


def anchors(page):
    """The anchors that GitHub gives to headings."""
    found, seen = set(), {}
    for heading in re.findall(r"^#{1,6} +(.*?) *$", prose(page), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = seen.get(slug, 0)
        seen[slug] = number + 1
        found.add(f"{slug}-{number}" if number else slug)
    return found


def links():
    """Relative links lead to files of the repository, and their anchors to headings. Gives how many there are."""
    broken, count = [], 0
    for page in pages():
        for target in LINK.findall(prose(page)):
            if re.match(r"[a-z][a-z+.-]*:", target):
                continue
            count += 1
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            if not there.exists():
                broken.append(f"{project.relative(page)}: {target} leads to no file")
            elif anchor and anchor not in anchors(there):
                broken.append(f"{project.relative(page)}: {target} leads to no heading of {project.relative(there)}")
    if broken:
        raise Failure("; ".join(broken))
    return count
