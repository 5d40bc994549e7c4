"""Until when does the plugin run? Until it is told to stop, or its parent, the host, is gone.

stop() may be called on any thread and in signal handlers; the rest is for the thread of serve().
"""

from __future__ import annotations

import os
import select
import signal
import threading

# Where the kernel has no pidfd, the parent is looked at this often. A plugin outlives its host by 2 s at most.
LOOK_MILLISECONDS = 500


class Lifeline:
    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        for fd in (self._reading, self._writing):
            os.set_blocking(fd, False)
        self._asked = False
        self._parent = os.getppid()
        self._pidfd = -1
        if hasattr(os, "pidfd_open"):
            try:
                self._pidfd = os.pidfd_open(self._parent)
            except OSError:
                pass  # an old kernel, or a parent in another PID namespace

    def take_signals(self) -> None:
        """SIGTERM and SIGINT, where they are at their defaults; possible on the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, default in (
            (signal.SIGTERM, signal.SIG_DFL),
            (signal.SIGINT, signal.default_int_handler),
        ):
            if signal.getsignal(number) is default:
                signal.signal(number, lambda *_: self.stop())
        # Python runs a handler when the main thread comes back from the kernel, and nothing says that a signal brings it back:
        # another thread may be the one that gets it. With this the signal itself wakes wait().
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)

    def stop(self) -> None:
        self._asked = True
        try:
            os.write(self._writing, b"x")
        except BlockingIOError:
            pass  # it was told often enough

    def wait(self) -> str:
        """Returns why it is over, for the log."""
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        if self._pidfd >= 0:
            poll.register(self._pidfd, select.POLLIN)
        # With another parent than at first there is no use in waiting for the pidfd: it may be a stranger's.
        while not self._asked and os.getppid() == self._parent:
            ready = [fd for fd, _ in poll.poll(None if self._pidfd >= 0 else LOOK_MILLISECONDS)]
            if self._reading in ready:
                os.read(self._reading, 4096)  # perhaps a signal of the author's own
            elif ready:
                break
        return "asked to stop" if self._asked else "the host is gone"
