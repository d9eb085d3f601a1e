"""The prompt: a question is asked until the answer is one that is allowed, or the person leaves."""

from __future__ import annotations

from collections.abc import Callable

from seqscale.errors import UsageError
from seqscale.lessons.question import AbstractQuestion, Prediction


class Left(Exception):
    """The person left the prompt with Ctrl-D."""


def ask(question: AbstractQuestion, read: Callable[[str], str], say: Callable[[str], None]) -> Prediction:
    """Ask until there is a prediction.

    Args:
        question: what to ask.
        read: shows a prompt and returns the line that was written, as `input`; EOFError where there is no more.
        say: shows a line.

    Raises:
        Left: instead of an answer came the end of the input.
    """
    say(question.text)
    for option in question.options():
        say(option)
    while True:
        try:
            return question.read(read(f"Your prediction ({question.allowed}): "))
        except UsageError as error:
            say(str(error))
        except UnicodeDecodeError:
            say(f"that is not text: write {question.allowed}.")
        except EOFError:
            raise Left from None
