"""Blocks `text`: each is known, and the orders of filters in them are those that are shipped and checked."""

import re

import check
import project
from console import Failure
from documenting import elsewhere, snippets


def judge(block):
    key = (project.relative(block.page), block.heading)
    if key not in elsewhere.FIGURES:
        raise Failure(f"{block.where}: what is not to be run or read by a program has to stand in FIGURES of tests/tools/documenting/elsewhere.py")
    if "order of the filters" in elsewhere.FIGURES[key]:
        _order(block)


def _order(block):
    cells = [cell.strip() for cell in re.split("[│→]", re.sub(r"\([^)]*\)", "", block.text))]
    names = [cell for cell in cells if re.fullmatch("[a-z][a-z-]+", cell)]
    drawn = names[: names.index("router") + 1]
    if "portcullis" in drawn:
        inside = re.search(r"portcullis \(([^)]*)\)", block.text)[1].split(", ")
        if inside != [name for name in shipped() if name in inside]:
            raise Failure(f"{block.where}: the plugin runs its filters as {', '.join(name for name in shipped() if name in inside)}")
    elif drawn != [name for name in shipped() if name in drawn] or len(drawn) < 5:
        raise Failure(f"{block.where}: envoy/envoy.yaml has the order {' → '.join(shipped())}, and not {' → '.join(drawn)}")


def shipped():
    """The filters of the listener `edge`, the outermost first."""
    listeners = snippets.read((check.ENVOY / "envoy.yaml").read_text())["static_resources"]["listeners"]
    (edge,) = [listener for listener in listeners if listener["name"] == "edge"]
    filters = edge["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    return [item["name"].removeprefix("envoy.filters.http.") for item in filters]
