"""`make images`: the images of the compose harness. Ours is built; the others are pulled, or, where no registry is reachable, stand-ins
with the same names are made of Debian packages and wheels."""

import json
import os
import re
import subprocess

import engine
import project
import setup
import standin
from console import Command, Failure, run, say

# How images come: `auto` pulls and falls back to stand-ins, `official` only pulls, `stand-in` never asks a registry.
CHOICES = ("auto", "official", "stand-in")
# Where only a profile uses an image and no stand-in can be made of it.
WITHOUT_STANDIN = {"grafana": "Debian has no Grafana: the profile `grafana` needs a registry"}
# An image's inputs as a hash: what has it is not made again.
KEY = "portcullis.key"
# What a stand-in is made of.
MADE_OF = "portcullis.stand-in"


def choice():
    chosen = os.environ.get("IMAGES") or "auto"
    if chosen not in CHOICES:
        raise Failure(f"IMAGES={chosen} is none of {', '.join(CHOICES)}")
    return chosen


def wanted():
    """Service → image, as docker-compose.yaml and the environment name them."""
    found = re.findall(r"^  ([a-z-]+):\n(?:    .*\n|\n)*?    image: \$\{(\w+):-([^}]+)\}$", engine.FILE.read_text(), re.M)
    named = {service: os.environ.get(variable) or default for service, variable, default in found}
    if not {"envoy", "redis", "prometheus"} <= set(named):
        raise Failure("envoy/docker-compose.yaml names no image for envoy, redis or prometheus: `image: ${NAME_IMAGE:-name:tag}`")
    return named


def ours():
    """The image of our own programs."""
    text = engine.FILE.read_text()
    return re.search(r"^\s+image: (portcullis/harness:\S+)$", text, re.M).group(1)


def build_programs():
    """Our programs, linked statically: they run in an image without anything else."""
    triple = setup.host_triple()
    if not triple.endswith("-linux-gnu"):
        raise Failure(f"the programs of containers are built on Linux with glibc, not on {triple}")
    flags = {f"CARGO_TARGET_{triple.upper().replace('-', '_')}_RUSTFLAGS": "-C target-feature=+crt-static"}
    packages = ["-p", "portcullis-upstream", "-p", "portcullis-compose"]
    run(["cargo", "build", *project.LOCKED, "--profile", "tools", "--target", triple, *packages], cwd=project.ROOT, extra_env=flags)
    folder = project.TARGET / triple / "tools"
    return [folder / name for name in ("demo-upstream", "harness-probe", "harness-certificate", "harness-alerts")]


def make(image, recipe):
    """Makes an image unless it is there with the same inputs. Whether it did."""
    key = recipe.key()
    if engine.labels([image]).get(image, {}).get(KEY) == key:
        return False
    changes = [f"LABEL {KEY}={key}", *recipe.changes]
    if recipe.made_of:
        changes.append(f"LABEL {MADE_OF}={json.dumps(recipe.made_of)}")
    command = engine.docker("import", *[part for change in changes for part in ("--change", change)], "-", image)
    # The tar goes straight into the engine.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        recipe.write(process.stdin)
        process.stdin.close()
    except BrokenPipeError:
        pass
    said = process.stderr.read().decode(errors="replace").strip()
    if process.wait():
        raise Failure(f"docker took no image {image}: {said}")
    return True


def pull(image):
    """Why an image could not be pulled; None if it could."""
    say(f"    $ docker pull {image}")
    done = subprocess.run(engine.docker("pull", "--quiet", image), capture_output=True, text=True)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no reason given"])[-1]


def official(images, chosen):
    """Pulls what is missing. Gives the services whose images are not to be had."""
    there = engine.labels(list(images.values()))
    missing = {service: image for service, image in images.items() if image not in there or MADE_OF in there[image]}
    for number, (service, image) in enumerate(sorted(missing.items())):
        why = pull(image)
        if why is None:
            continue
        if chosen == "official":
            raise Failure(f"{image} cannot be pulled: {why}")
        say(f"    no registry gives {image}: {why}")
        # Nor will it give the others.
        return dict(sorted(missing.items())[number:])
    return {}


def stand_ins(command, images):
    made_of = {service: image for service, image in images.items() if service not in WITHOUT_STANDIN}
    with command.stage("stand-ins: packages and wheels"):
        recipes = standin.recipes(made_of)
    with command.stage("stand-ins: images"):
        for service, image in sorted(made_of.items()):
            fresh = make(image, recipes[service])
            say(f"    {image}: {'made of' if fresh else 'is there, of'} {recipes[service].made_of}")
    for service in sorted(set(images) & set(WITHOUT_STANDIN)):
        say(f"    {images[service]}: skipped. {WITHOUT_STANDIN[service]}")


def everything(command):
    chosen = choice()
    with command.stage("Docker engine"):
        say(f"    Docker {engine.require()}")
    with command.stage("our programs"):
        setup.toolchain()
        programs = build_programs()
        fresh = make(ours(), standin.programs(programs))
        say(f"    {ours()}: {'built' if fresh else 'is there'}")
    missing = wanted()
    if chosen != "stand-in":
        with command.stage("official images"):
            missing = official(missing, chosen)
    if missing:
        stand_ins(command, missing)
    return missing


def main(command):
    missing = everything(command)
    return f"stand-ins for {', '.join(sorted(set(missing) - set(WITHOUT_STANDIN)))}" if missing else "official images, and ours"


if __name__ == "__main__":
    Command("images").run(main)
