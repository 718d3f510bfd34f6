"""Builds the wheel: `libcellwall.so` by cargo, and what `cffi` knows of its functions by cffi.

The library is loaded, not linked: one wheel serves every version of Python, and building it needs Rust
but no headers of Python. `CELLWALL_LIBRARY` names a library that is already built.
"""

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # before setuptools 70.1
    from wheel.bdist_wheel import bdist_wheel

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parent.parent


def library() -> Path:
    """The library, built if nobody says where it is."""
    built = os.environ.get("CELLWALL_LIBRARY")
    if built:
        return Path(built)
    if not (WORKSPACE / "crates" / "capi").is_dir():
        raise SystemExit("the package is built inside the repository: pip install ./bindings/python")
    command = ["cargo", "build", "--release", "--locked", "--package", "cellwall-capi"]
    print(" ".join(command), flush=True)
    subprocess.run(command, cwd=WORKSPACE, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", WORKSPACE / "target"))
    return target / "release" / "libcellwall.so"


class Build(build_py):
    """Adds the library and its description to the package."""

    def run(self) -> None:
        super().run()
        from cffi import FFI

        package = Path(self.build_lib) / "cellwall"
        if self.editable_mode:
            package = HERE / "src" / "cellwall"
        package.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(library(), package / "libcellwall.so")
        ffi = FFI()
        ffi.cdef((HERE / "src" / "cellwall" / "core.cdef").read_text(encoding="utf-8"))
        ffi.set_source("cellwall._core", None)
        ffi.emit_python_code(str(package / "_core.py"))


class Wheel(bdist_wheel):
    """A wheel for this platform and any Python 3."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


class WithLibrary(Distribution):
    """There is machine code in it, so the wheel is one for a platform."""

    def has_ext_modules(self) -> bool:
        return True


setup(cmdclass={"build_py": Build, "bdist_wheel": Wheel}, distclass=WithLibrary)
