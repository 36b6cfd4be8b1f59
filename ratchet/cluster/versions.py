"""Which versions of Ratchet work together across machines. Pure."""

from ratchet.errors import RequestError


def check_version(name: str, theirs: str, ours: str) -> None:
    """Refuse a node whose version does not go with the head's: major and minor number have to be the same.

    Raises:
        RequestError: It does not; the message names both.
    """
    if _series(theirs) != _series(ours):
        raise RequestError(
            f"node {name!r:.40} runs Ratchet {theirs:.40}, the head {ours}: they work together where the first two "
            f"numbers are the same; install ratchet=={ours} on the node"
        )


def _series(version: str) -> list[str]:
    return version.split(".")[:2]
