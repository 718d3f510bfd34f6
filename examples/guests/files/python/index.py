"""Lists the files of a folder with their sizes, and writes the list into the folder as `INDEX`."""

import os
import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import environment


def index(folder: str) -> str:
    rows = []
    for entry in os.scandir(folder):
        if entry.is_file() and entry.name != "INDEX":
            rows.append((entry.name, entry.stat().st_size))
    text = "".join(f"{size:>8} {name}\n" for name, size in sorted(rows))
    with open(os.path.join(folder, "INDEX"), "w") as file:
        file.write(text)
    return text


class Run(exports.Run):
    def run(self) -> None:
        arguments = environment.get_arguments()
        if len(arguments) != 2:
            print("usage: index FOLDER", file=sys.stderr)
            raise Err(None)
        try:
            print(index(arguments[1]), end="")
        except OSError as error:
            print(f"index: {arguments[1]}: {error.strerror}", file=sys.stderr)
            raise Err(None)
