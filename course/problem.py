"""What went wrong in words for the person in front of it."""


class Problem(Exception):
    """Something that the person can mend; its text says what is wrong and what to do next."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback: IPython asks the exception for it."""
        return [str(self)]
