"""What a soak has shown."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from support.ledger import Ledger
from support.workload import Verdict

from bench.soak.deployment import MIB, Holding

MEMORY_MARGIN: Final = 128 * MIB
"""What an allocator may keep of a peak. A leak of 100 KiB for each of 1000 viewers would not fit."""
DESCRIPTOR_MARGIN: Final = 16


@dataclass
class Report:
    """All counts of one run. `before` and `after`: what the processes had without any load."""

    faults: Counter[str] = field(default_factory=Counter)
    verdicts: list[Verdict] = field(default_factory=list)
    replies: int = 0
    unsure: int = 0
    retries: int = 0
    ledgers: list[Ledger] = field(default_factory=list)
    behind: int = 0
    reconnects: int = 0
    before: Mapping[str, Holding] = field(default_factory=dict)
    peak: Mapping[str, Holding] = field(default_factory=dict)
    after: Mapping[str, Holding] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        """What must not have happened and did, one line each."""
        found = {
            "messages lost": sum(verdict.lost for verdict in self.verdicts),
            "messages doubled": sum(verdict.doubled for verdict in self.verdicts),
            "messages altered": sum(verdict.altered for verdict in self.verdicts),
            "viewers that did not see everything": self.behind,
            "messages or chunks that a viewer saw twice": sum(ledger.doubled for ledger in self.ledgers),
            "messages that a viewer never saw": sum(ledger.missing for ledger in self.ledgers),
            "replies torn for a viewer": sum(ledger.torn for ledger in self.ledgers),
        }
        lines = [f"{what}: {count}" for what, count in found.items() if count]
        for name, after in self.after.items():
            before = self.before[name]
            if name != "redis" and after.memory > before.memory + MEMORY_MARGIN:
                lines.append(f"{name}: {(after.memory - before.memory) / MIB:.0f} MiB more than before the load")
            if after.descriptors > before.descriptors + DESCRIPTOR_MARGIN:
                lines.append(f"{name}: {after.descriptors - before.descriptors} descriptors more than before the load")
        return lines

    def lines(self) -> Sequence[str]:
        """The report, for a terminal."""
        total = Counter[str]()
        for verdict in self.verdicts:
            total.update(acknowledged=verdict.acknowledged, lost=verdict.lost)
            total.update(doubled=verdict.doubled, altered=verdict.altered)
        seen = Counter[str]()
        for ledger in self.ledgers:
            seen.update(doubled=ledger.doubled, missing=ledger.missing, torn=ledger.torn, resets=ledger.resets)
            seen.update(messages=len(ledger.ids))
        killed = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        lines = [
            f"faults injected        {self.faults.total()}  ({killed})",
            f"messages acknowledged  {total['acknowledged']}, {self.replies} of them replies",
            f"                       lost {total['lost']}, doubled {total['doubled']}, altered {total['altered']}",
            f"                       tried again by their writer {self.retries}, replies given up {self.unsure}",
            f"viewers                {len(self.ledgers)}, reconnects {self.reconnects}, reloads {seen['resets']}",
            f"messages they saw      {seen['messages']}",
            f"                       missing {seen['missing']}, doubled {seen['doubled']}, torn replies {seen['torn']}",
            "",
            f"{'':18} {'memory (MiB)':>24} {'descriptors':>24}",
            f"{'':18} {'before':>8}{'peak':>8}{'after':>8} {'before':>8}{'peak':>8}{'after':>8}",
        ]
        for name, after in self.after.items():
            row = (self.before[name], self.peak[name], after)
            memory = "".join(f"{each.memory / MIB:8.0f}" for each in row)
            lines.append(f"{name:18} {memory} {''.join(f'{each.descriptors:8}' for each in row)}")
        return lines
