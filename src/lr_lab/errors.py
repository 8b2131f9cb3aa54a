"""What a person did that cannot work, said to them."""


class UserError(Exception):
    """One sentence for a person: what is wrong, what is allowed, what to do. Shown without a traceback."""


class Unwritable(UserError):
    """A file of a run, or its folder, cannot be written; the cause is the system's error."""


class RunBusy(UserError):
    """Another process is training the run."""
