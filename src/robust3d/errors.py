"""The one error that a user can mend: what is wrong, where, and what to do about it."""


class UserError(ValueError):
    """A mistake in the user's input; `robust3d` prints its message without a traceback and exits with 2.

    The message names the file or the configuration key, says what is wrong with it and what to do.
    """


STOPPED = 75
"""Exit code of a job that was told to stop (SIGTERM): what it did is saved, ask again and it goes on."""
