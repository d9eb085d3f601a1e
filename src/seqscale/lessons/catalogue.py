"""The four lessons by number."""

from __future__ import annotations

from seqscale.lessons.encoding import Encoding
from seqscale.lessons.retrieval import Retrieval
from seqscale.lessons.timing import Timing
from seqscale.lessons.waiting import Waiting

LESSONS = {lesson.number: lesson for lesson in (Timing(), Encoding(), Retrieval(), Waiting())}
