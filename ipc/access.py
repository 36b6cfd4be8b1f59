"""Who may call what of whom, by role. Deny unless a row allows it."""

from dataclasses import dataclass

ANY = "*"

Row = tuple[str, str, str]
"""Role of the source, role of the target, prefix of the method; `*` as a role means any."""


def role_of(name: str) -> str:
    """The role part of `role[:instance]`."""
    return name.partition(":")[0]


@dataclass(frozen=True, slots=True)
class AccessTable:
    """The allowed calls and events.

    Answers need no table of their own: they follow from an allowed call.
    """

    rows: frozenset[Row]

    @classmethod
    def everyone(cls) -> "AccessTable":
        """Any role may call any method of any other."""
        return cls(frozenset({(ANY, ANY, "")}))

    def allows(self, source_role: str, target_role: str, method: str) -> bool:
        """Whether some row covers the call."""
        return any(
            source in (source_role, ANY) and target in (target_role, ANY) and method.startswith(prefix)
            for source, target, prefix in self.rows
        )
