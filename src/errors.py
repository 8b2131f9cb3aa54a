"""What a person did that cannot work, said to them."""


class UserError(Exception):
    """One sentence for a person: what is wrong, what is allowed, what to do. Shown without a traceback."""


class RunBusy(UserError):
    """Another process is training the run."""
