"""`seqscale lesson` on a pseudo terminal, for the tests of prompts."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time


class Terminal:
    """A seqscale on a pseudo terminal: what it has written so far, and how it ended."""

    def __init__(self, *words):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ |= {"COLUMNS": "90", "TERM": "xterm"}
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever started the tests may have it ignored
            os.execv(sys.executable, [sys.executable, "-m", "seqscale", "lesson", *words])
        self.text = ""

    def wait_for(self, words, seconds=90):
        """Read until `words` have come since the last call; return what came."""
        end, start = time.monotonic() + seconds, len(self.text)
        while words not in self.text[start:]:
            assert time.monotonic() < end, f"no '{words}' in:\n{self.text}"
            if select.select([self.file], [], [], 0.2)[0] and not self._more():
                break
        assert words in self.text[start:], self.text
        return self.text[start:]

    def _more(self):
        try:
            found = os.read(self.file, 65536)
        except OSError:  # Linux says so when the other side has closed
            return False
        self.text += found.decode(errors="replace").replace("\r\n", "\n")
        return bool(found)

    def write(self, data):
        os.write(self.file, data)

    def press(self, key, seconds=60):
        """Press a key until the program ends: one that comes between prompt and read is lost."""
        end = time.monotonic() + seconds
        while not self.ended(0.5):
            assert time.monotonic() < end, self.text
            self.write(key)

    def ended(self, seconds):
        """Read for so long; return whether the program closed its terminal."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.file], [], [], 0.05)[0] and not self._more():
                return True
        return False

    def status(self, seconds=90):
        """Read to the end; return the exit status."""
        assert self.ended(seconds), self.text
        os.close(self.file)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
