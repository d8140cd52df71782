"""Enumerators."""

from __future__ import annotations

from enum import IntEnum


class Numbers(IntEnum):
    """An enumerator of a later library that this package does not know becomes a member with a placeholder name."""

    @classmethod
    def _missing_(cls, value: object) -> Numbers | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member
