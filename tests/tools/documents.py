"""What the documents say is so: links lead somewhere, every fenced block is run, read by a program, or known as a figure.

A document is any Markdown file of the repository. The language of a block says what is done with it:

    console   lines behind `$ ` are commands and run; what the page shows below one is what it prints
    sh        each line runs
    yaml      settings are checked for their filter, parts of a configuration by `portcullis check` and by Envoy
    json      `<!-- answer: COMMAND -->` above it says what gives it; or a test of its own reads it
    python    a test of its own reads it
    text      a figure that stands in documenting/elsewhere.py

What cannot run here stands in documenting/elsewhere.py with who runs it. Any other language, or none, is refused."""

import collections

import build
import project
import setup
from console import Command, Failure, say
from documenting import commands, elsewhere, figures, http3, pages, served, snippets


def judge(programs):
    """`programs`: the folder with the native programs."""
    say(f"    {pages.links()} links lead somewhere")
    blocks = [block for page in pages.pages() for block in pages.blocks(page)]
    _known_figures_are_there(blocks)
    proxy = served.Served(programs)
    try:
        with commands.workplace() as folder:
            runner = commands.Runner(folder, proxy)
            for block in blocks:
                _one(block, runner)
    finally:
        proxy.stop()
    languages = collections.Counter(block.language for block in blocks)
    say(f"    {len(blocks)} blocks: {', '.join(f'{number} {language}' for language, number in sorted(languages.items()))}")
    say(f"    {len(runner.ran)} commands ran and print what is shown; {runner.others} run in stages of their own, or at somebody else's")
    http3.judge()
    say("    envoy/envoy.yaml with HTTP/3, as its note says, is taken")


def _one(block, runner):
    if elsewhere.read_by(block):
        return
    if block.language in ("console", "sh"):
        runner.block(block)
    elif block.language == "yaml":
        snippets.judge(block)
    elif block.language == "json" and block.marker[0] == "answer":
        runner.answer(block, block.marker[1])
    elif block.language == "text":
        figures.judge(block)
    else:
        known = "`<!-- answer: COMMAND -->` above it has to say what gives it" if block.language == "json" else "label it console, sh, yaml, json, python or text"
        raise Failure(f"{block.where}: nobody reads this block `{block.language}`; {known}")


def main(command):
    with command.stage("set-up"):
        setup.for_envoy()
    programs = build.programs(command)
    build.modules(command)
    with command.stage("documents: links, and every fenced block"):
        judge(programs)
    return "the documents hold"


def _known_figures_are_there(blocks):
    there = {(str(block.page.relative_to(project.ROOT)), block.heading) for block in blocks if block.language == "text"}
    if gone := set(elsewhere.FIGURES) - there:
        raise Failure(f"FIGURES of tests/tools/documenting/elsewhere.py has some that are gone: {sorted(gone)}")


if __name__ == "__main__":
    Command("check-documents").run(main)
