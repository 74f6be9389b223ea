"""Names in the order of a time."""

from bisect import bisect_left, insort

from session_svc.domain.session import Activity


class TimeIndex:
    """Each name at most once, under one time in ms.

    A sorted list: reading costs the same however many there are; a write moves pointers, some 20 µs of
    memmove at 100,000 names, which is why nothing cleverer is here.
    """

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._order: list[tuple[int, str]] = []

    def put(self, name: str, time: int) -> None:
        """Files `name` under `time`, wherever it was."""
        self.remove(name)
        self._times[name] = time
        insort(self._order, (time, name))

    def remove(self, name: str) -> None:
        """Forgets `name`, if it is there."""
        time = self._times.pop(name, None)
        if time is not None:
            del self._order[bisect_left(self._order, (time, name))]

    def until(self, time: int) -> list[str]:
        """The names up to and including `time`, the earliest first."""
        names = []
        for entry_time, name in self._order:
            if entry_time > time:
                break
            names.append(name)
        return names

    def descending(self, after: Activity | None, limit: int) -> list[Activity]:
        """Up to `limit` entries in descending order of (time, name), those after `after`."""
        end = len(self._order) if after is None else bisect_left(self._order, (after.time, after.name))
        return [Activity(time, name) for time, name in reversed(self._order[max(0, end - limit) : end])]
