"""Only what pyproject.toml cannot say. Metadata lives in pyproject.toml."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py as setuptools_build_py

HERE = Path(__file__).resolve().parent
# A path in the repository -> its place inside the installed package.
EXTRA = {"web_console": "web_console", "cartnet.ini": "cartnet.ini"}


class build_py(setuptools_build_py):
    """Ship the top-level web_console/ and cartnet.ini inside the wheel, in cartnet/."""

    def _extra(self) -> Iterator[tuple[Path, Path]]:
        for source, target in EXTRA.items():
            top = HERE / source
            inside = Path(self.build_lib, "cartnet", target)
            for path in [top] if top.is_file() else sorted(top.rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    yield path, inside / path.relative_to(top)

    def run(self) -> None:
        # An editable install reads the checkout's own files.
        if self.editable_mode:
            super().run()
            return
        # `pip install .` leaves build/lib behind: a deleted file would live on in it.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        for source, target in self._extra():
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs = list(super().get_outputs(include_bytecode))
        if self.editable_mode:
            return outputs
        return outputs + [str(target) for _, target in self._extra()]

    def get_source_files(self) -> list[str]:
        """Name these files for the source distribution too."""
        extra = [str(source.relative_to(HERE)) for source, _ in self._extra()]
        return list(super().get_source_files()) + extra


setup(
    # Exactly {"": "."}: then `pip install -e .` writes a plain .pth with the checkout's
    # path. With any other mapping, or none, setuptools writes an import hook instead,
    # and Twisted's plugin scan, which only looks at sys.path/*/twisted/plugins, finds
    # nothing.
    package_dir={"": "."},
    # Never "twisted" itself: it would overwrite Twisted's own __init__.py.
    packages=["twisted.plugins", *find_packages(include=["cartnet", "cartnet.*"])],
    cmdclass={"build_py": build_py},
    zip_safe=False,
)
