"""The one exception that stands for a user's mistake."""


class SomarayError(Exception):
    """A mistake in what the user gave, or a limit of it.

    Its message is shown to people as it stands, without a traceback, so it names the file, the key and the value and
    says what was expected.
    """


class Unsupported(SomarayError):
    """A method cannot do what was asked of it; its row says so and nothing is tried again in vain."""
