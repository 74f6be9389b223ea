"""What a benchmark finds out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One ratio, measured within one run.

    what      what is compared with what
    measured  microseconds of processor time a call
    base      the same of what it is compared with
    target    the ratio that it should not exceed
    """

    what: str
    measured: float
    base: float
    target: float

    @property
    def ratio(self) -> float:
        """How many times the base."""
        return self.measured / self.base

    @property
    def is_met(self) -> bool:
        """Whether the target is met."""
        return self.ratio <= self.target
