"""What both sides say, in words that do not depend on the platform."""

import errno
import sys

PREFIX = "/" + sys.argv[1]


def name(stem):
    return f"{PREFIX}.{stem}"


def show(what, function, *arguments, **named):
    """Prints what a call returns or raises, and returns it."""
    try:
        result = function(*arguments, **named)
    except Exception as error:
        print(f"{what}: {raised(error)}")
        return None
    print(f"{what}: {text(result)}")
    return result


def raised(error):
    kind = type(error)
    if isinstance(error, OSError) and error.errno is not None:
        return f"{kind.__name__}[{errno.errorcode[error.errno]}]"
    return f"{kind.__module__}.{kind.__name__}({text(str(error))})"


def kind(what, function, *arguments, **named):
    """As `show`, where only the kind of the error is the same: the guest says more."""
    try:
        result = function(*arguments, **named)
    except Exception as error:
        print(f"{what}: {type(error).__name__}")
    else:
        print(f"{what}: {text(result)}")


def text(value):
    return repr(value).replace(PREFIX, "/PREFIX").replace(PREFIX[1:], "PREFIX")
