"""Why an execution failed and what to do about it, worked out without a language model."""

from ratchet.analysis.analysis import CHARACTERS_MAX, analyze
from ratchet.analysis.corrections.patch import apply_patch
from ratchet.analysis.corrections.schema_repair import repair
from ratchet.analysis.fingerprint import fingerprint
from ratchet.analysis.logged import logged_suggestions
from ratchet.analysis.result import Analysis, Suggestion
from ratchet.analysis.taxonomy import TAXONOMY

__all__ = [
    "CHARACTERS_MAX",
    "TAXONOMY",
    "Analysis",
    "Suggestion",
    "analyze",
    "apply_patch",
    "fingerprint",
    "logged_suggestions",
    "repair",
]
