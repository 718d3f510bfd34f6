"""Ctrl-C while guest code runs, or waits.

Python runs its signal handlers between its own instructions only, and guest code has none. So the library taps
SIGINT: its time goes to a thread of ours as well, which interrupts the guest that the main thread is calling; the
handler then runs when the call has returned, and raises `KeyboardInterrupt`. A handler that is put in later takes the
tap away: the thread looks after it for as long as there are calls. An interruption ends the call that was under way when
the signal came, and never one after it.
Requires that the handler of SIGINT raises: with a handler of the program's own nothing is interrupted.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from itertools import starmap
from struct import Struct
from time import monotonic_ns
from typing import Any, Callable, Optional

from ._error import pending
from ._lib import NULL, lib

#: The main thread's identity, as `threading.get_ident` answers it.
MAIN = threading.main_thread().ident

#: What the library writes of a signal: its number, and when it came.
_ARRIVAL = Struct("=qq")

#: Seconds between two interruptions of a guest that has just started when the first one came.
AGAIN = 0.005
#: Milliseconds between two looks at the tap, and how many without a call until the thread sleeps.
LOOK = 20
LOOKS = 50


class _Watch:
    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        os.set_blocking(self.write, False)
        #: The engine of the call that is under way in the main thread.
        self.engine: Optional[Any] = None
        #: How many calls there were, and when the last one began.
        self.calls = 0
        self.started = 0
        #: Held while a call is looked for and interrupted, so that the next one is not hit.
        self.hits = threading.Lock()
        #: Whether nobody looks after the tap.
        self.sleeps = False
        self.tap()
        threading.Thread(target=self._watch, name="cellwall-signals", daemon=True).start()

    def tap(self) -> None:
        lib.cellwall_signal_tap(signal.SIGINT, self.write)

    def wake(self) -> None:
        """Begins to look after the tap again."""
        self.sleeps = False
        self.tap()
        os.write(self.write, bytes(_ARRIVAL.size))

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self.read, select.POLLIN)
        calls = looks = 0
        while True:
            if poll.poll(None if self.sleeps else LOOK):
                arrivals = [at for number, at in _ARRIVAL.iter_unpack(os.read(self.read, 64 * _ARRIVAL.size)) if number]
                if arrivals and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                    self._interrupt(max(arrivals))
                looks = 0
                continue
            self.tap()
            looks = 0 if self.calls != calls or self.engine is not None else looks + 1
            calls = self.calls
            if looks >= LOOKS:
                # The main thread wakes us if it begins a call after this; one that began before is seen now.
                self.sleeps = True
                if self.calls != calls:
                    self.sleeps = False
                    looks = 0

    def _interrupt(self, at: int) -> None:
        calls = self.calls
        pause = threading.Event()
        while self._hit(calls, at):
            pause.wait(AGAIN)

    def _hit(self, calls: int, at: int) -> bool:
        """Interrupts the call with this number; false if it is over, or began after that time."""
        with self.hits:
            engine = self.engine
            if engine is None or self.calls != calls or self.started > at:
                return False
            lib.cellwall_engine_interrupt(engine)
            return True


_watch: Optional[_Watch] = None


def _forget() -> None:
    # A child has no thread of ours.
    global _watch
    if _watch is not None:
        lib.cellwall_signal_tap(signal.SIGINT, -1)
        _watch = None


os.register_at_fork(after_in_child=_forget)


def watched(engine: Any, lost: Callable[[Any], None], call: Callable[..., Any], *args: Any) -> Any:
    """Makes a call from the main thread, which Ctrl-C ends: then `lost` gets what the call answered (null, if nothing)."""
    global _watch
    watch = _watch
    if watch is None:
        watch = _watch = _Watch()
    # Within a call it is watched already.
    is_outermost = watch.engine is None
    answer = NULL
    try:
        if is_outermost:
            # Python looks for signals when this has returned: one that came before is raised here, one that comes later ends
            # the call.
            watch.started = monotonic_ns()
            watch.engine = engine
            watch.calls += 1
            if watch.sleeps:
                watch.wake()
        # Python raises at the end of a call, before its answer has a name, or at the end of a turn of a loop. Here the call
        # is made by the loop itself, so that the answer has its name.
        for answer in starmap(call, (args,)):
            pass
        return answer
    except BaseException:
        pending.error = None
        lost(answer)
        raise
    finally:
        if is_outermost:
            watch.engine = None
            if watch.hits.locked():
                watch.hits.acquire()
                watch.hits.release()


def guarded(engine: Any, lost: Callable[[Any], None], call: Callable[..., Any], *args: Any) -> Any:
    """Makes a call, from whatever thread."""
    pending.error = None
    if threading.get_ident() == MAIN:
        return watched(engine, lost, call, *args)
    return call(*args)
