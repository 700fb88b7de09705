"""What came from outside, made fit to be shown: no control characters, no passwords."""

from __future__ import annotations

import re

__all__ = ["counted", "hide_in", "hide_secrets", "plain", "shown_address"]

# C0 and C1, what turns the direction of writing, separators of lines, halves of surrogates.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)

_SECRET = (
    r"[\w.%\[\]-]*(?:token|passw|passphrase|pwd|secret|key|auth|signature|credential|session|jwt)"
    r"[\w.%\[\]-]*|pass|pw|sig"
)
_QUERY = re.compile(rf"([?&;#])({_SECRET})=(?!value\b|\*\*\*)['\"]?[^&;#\s'\"<>]*", re.IGNORECASE)
# All up to the last @, since a password may have any character; a little too much is no harm.
_USER = re.compile(r"([a-z][a-z0-9+.-]*:[/\\]+)[^\s'\"<>]*@", re.IGNORECASE)
_USER_WITH_BLANKS = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/'\"]*:[^/'\"\n]{0,64}@", re.IGNORECASE)
_USER_ALONE = re.compile(r"(?<![\w/@*])([^\s:/\\@'\"<>()]+):(?!\*)[^\s:/\\@'\"<>]+@(?=[\w\[])")


def counted(number: int, what: str) -> str:
    """``1 picture``, ``2 pictures``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def plain(text: str, *, lines: bool = False) -> str:
    """``text`` with control characters as ``\\x1b``, ``\\n``; a terminal obeys none of it.

    Args:
        lines: leave ends of lines and tabulators as they are.
    """
    return _CONTROL.sub(lambda m: m[0] if lines and m[0] in "\n\t" else _escape(m[0]), text)


def _escape(character: str) -> str:
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def hide_secrets(text: str) -> str:
    """``text`` with ``***`` for users and passwords of addresses, and for tokens in queries."""
    if "@" in text:
        text = _USER.sub(r"\1***@", text)
        text = _USER_WITH_BLANKS.sub(r"\1***@", text)
        text = _USER_ALONE.sub(r"\1:***@", text)
    return _QUERY.sub(r"\1\2=***", text) if "=" in text else text


def hide_in(error: Exception) -> Exception:
    """``error`` of a library, whose arguments name an address, without the secrets in it.

    A traceback shows it as the cause of an error of ours.
    """
    error.args = tuple(hide_secrets(a) if isinstance(a, str) else a for a in error.args[:3])
    return error


def shown_address(url: str) -> str:
    """An address without user, password and what follows the path."""
    scheme, mark, rest = url.partition("://")
    before, cut, after = rest, "", ""
    for place, character in enumerate(rest):
        if character in "?#":
            before, cut, after = rest[:place], character, rest[place:]
            break
    if cut and "@" in after and "/" not in before and ":" in before:
        # A password with a question mark in it.
        before = re.split(r"[?#]", rest.rpartition("@")[2])[0]
    return plain(f"{scheme}{mark}{before.rpartition('@')[2]}")
