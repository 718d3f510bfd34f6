"""The examples print what they should, and the code in the book runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "examples" / "python").glob("*.py"))
CHAPTERS = [ROOT / "docs" / "python.md", ROOT / "bindings" / "python" / "README.md"]


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example):
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == example.with_suffix(".out").read_text()


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.name)
def test_code_in_documents(chapter, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", chapter.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    code = "\n".join(blocks)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    expected = re.findall(r"# -> (.*)", code)
    assert done.stdout.splitlines() == expected
