"""Ctrl-C while guest code runs.

Python runs its signal handlers between its own instructions only, and guest code has none. So for the time
of a call from the main thread the numbers of arriving signals go to a thread of ours as well, which
interrupts the guest; the handler then runs when the call has returned, and raises `KeyboardInterrupt`.
Requires that the handler of SIGINT raises: with a handler of the program's own nothing is interrupted.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any, Callable, Optional

from ._lib import lib

#: The main thread's identity, as `threading.get_ident` answers it.
MAIN = threading.main_thread().ident

#: Seconds between two interruptions of a guest that has just started when the first one came.
AGAIN = 0.005


class _Watch:
    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        os.set_blocking(self.write, False)
        #: The engine of the call that is under way in the main thread.
        self.engine: Optional[Any] = None
        #: Where signals went before the call; -1 is nowhere.
        self.before = -1
        threading.Thread(target=self._watch, name="cellwall-signals", daemon=True).start()

    def _watch(self) -> None:
        while True:
            numbers = os.read(self.read, 64)
            before = self.before
            if before != -1:
                try:
                    os.write(before, numbers)
                except OSError:
                    pass
            if signal.SIGINT in numbers and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._interrupt()

    def _interrupt(self) -> None:
        engine = self.engine
        pause = threading.Event()
        while engine is not None and self.engine is engine:
            lib.cellwall_engine_interrupt(engine)
            pause.wait(AGAIN)


_watch: Optional[_Watch] = None


def _forget() -> None:
    # A child has no thread of ours.
    global _watch
    _watch = None


os.register_at_fork(after_in_child=_forget)


def watched(engine: Any, call: Callable[..., Any], *args: Any) -> Any:
    """Makes a call from the main thread, which Ctrl-C ends."""
    global _watch
    if _watch is None:
        _watch = _Watch()
    watch = _watch
    if watch.engine is not None:
        # Within a call: it is watched already.
        return call(*args)
    watch.before = before = signal.set_wakeup_fd(watch.write, warn_on_full_buffer=False)
    watch.engine = engine
    try:
        return call(*args)
    finally:
        watch.engine = None
        signal.set_wakeup_fd(before)
