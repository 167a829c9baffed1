"""Our own modules as child processes, which end when the process that started them does, however it ends.

`build_command` makes the command. What it runs is this file, `python children.py PARENT MODULE ARGUMENTS`:
it asks the kernel to be killed with its parent, and only then imports the module, which takes up to a second
with what it needs. So a parent that is killed while its child starts leaves none behind. Elsewhere than on
Linux a child ends when it is done, or when its pipe is closed.
"""

from __future__ import annotations

import os
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def build_command(module: str, *arguments: str) -> list[str]:
    """Build the command that runs `module` as `python -m` does, in a child of this process.

    The kernel looks at the thread that starts the child: it must live for as long as the child is wanted.
    """
    # the child imports from where this process imports from
    safe_path = ["-P"] if sys.flags.safe_path else []
    return [sys.executable, *safe_path, __file__, str(os.getpid()), module, *arguments]


def end_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent dies; end at once where it is dead already."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - the program's own folder is searched until `_main` has begun

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


def _main() -> None:
    if not sys.flags.safe_path:
        sys.path[0] = os.getcwd()  # noqa: PTH109 - as `-m` has it; pathlib would be one more import
    parent, module, *arguments = sys.argv[1:]
    end_with_parent(int(parent))
    import runpy  # noqa: PLC0415 - as above

    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
