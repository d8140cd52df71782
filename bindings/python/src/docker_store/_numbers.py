"""Numbers that stand for names."""

from __future__ import annotations

from enum import IntEnum


class Numbers(IntEnum):
    """One that a later library has, and this package does not know, is a member without a name that means anything."""

    @classmethod
    def _missing_(cls, value: object) -> Numbers | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member
