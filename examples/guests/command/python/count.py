"""Counts the lines, words and bytes of standard input; with `--longest`, says the longest word too."""

import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import environment


class Run(exports.Run):
    def run(self) -> None:
        options = environment.get_arguments()[1:]
        for option in options:
            if option != "--longest":
                print(f"count: unknown option {option}", file=sys.stderr)
                raise Err(None)
        label = dict(environment.get_environment()).get("LABEL", "stdin")
        data = sys.stdin.buffer.read()
        words = data.split()
        print(f"{label}: {data.count(10)} lines, {len(words)} words, {len(data)} bytes")
        if options:
            print("longest:", max(words, key=len, default=b"").decode(errors="replace"))
