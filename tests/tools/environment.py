"""Virtual environments of Python packages, each file of them pinned by SHA-256."""

import hashlib
import shutil
import sys

import project
from console import Failure, output, run


class Environment:
    """The packages of one or more lists, in their order. A list may come with more options for pip."""

    def __init__(self, name, *lists, hint):
        self.name = name
        self.lists = lists
        self.hint = hint

    def home(self):
        """The folder of these lists and this Python. Other lists get another one."""
        wanted = b"".join(requirements.read_bytes() for requirements, *_ in self.lists)
        wanted += sys.version.encode() + sys.executable.encode()
        return project.TOOLS / f"{self.name}-{hashlib.sha256(wanted).hexdigest()[:12]}"

    def python(self):
        return self.home() / "bin" / "python3"

    def install(self):
        """Fetches what is not there yet, and gives the folder."""
        folder = self.home()
        complete = folder / "complete"
        if complete.exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        if output([sys.executable, "-m", "venv", folder]) is None:
            shutil.rmtree(folder, ignore_errors=True)
            raise Failure("python3 makes no virtual environment; run `apt-get install python3-venv`")
        pip = [self.python(), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        pip += ["--require-hashes", "--no-deps", "--only-binary=:all:"]
        for requirements, *options in self.lists:
            run([*pip, *options, "--requirement", requirements], hint=self.hint)
        complete.touch()
        return folder
