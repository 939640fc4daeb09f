"""Files that an option of a command names."""

from pathlib import Path

from somaray.errors import SomarayError


def write_output(path: Path, text: str) -> None:
    """Write text as it is.

    Raises
    ------
    SomarayError
        If the file cannot be written.
    """
    try:
        path.write_text(text, newline="")
    except OSError as error:
        raise SomarayError(f"{path}: {error.strerror or error}") from error
