"""What other machines may join."""

from pydantic import Field

from ratchet.config.address import BindAddress
from ratchet.config.section import Section


class ClusterConfig(Section):
    """Nodes: machines that run workers for this one."""

    listen: BindAddress | None = Field(
        default=None,
        description="address and port where nodes connect (CURVE, enrolled keys only); without it none can",
    )
