"""What an agent makes of `analyze_execution_error`: whether a failure can be mended by another input, and by which."""

import copy
from typing import Any

import jsonpatch

from examples.agent import Answer


def corrected(task_input: Answer, analysis: Answer) -> Answer | None:
    """The input that the analysis offers in the place of the one that failed; None where it offers none.

    A suggestion of low confidence is a guess: a person may try it, a program should not.
    """
    for suggestion in analysis["suggestions"]:
        if suggestion.get("patch") and suggestion["confidence"] != "low":
            print(f"  {suggestion['text']}")
            return apply_patch(task_input, suggestion["patch"])
    return None


def apply_patch(task_input: Answer, patch: list[dict[str, Any]]) -> Answer:
    """A JSON Patch (RFC 6902) applied; the input itself stays as it is."""
    return jsonpatch.apply_patch(copy.deepcopy(task_input), patch)


def why(analysis: Answer) -> Answer:
    """The metadata of a run that is to mend a failed one."""
    return {"retry_reason": analysis["error_type"], "original_execution": analysis["execution_id"]}
