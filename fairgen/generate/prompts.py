"""Prompts of a group are written once, with `[V]` where the rare token goes: `a photo of a [V] blond
woman`.
"""

PLACE = "[V]"


def instance_prompt(prompt: str, token: str) -> str:
    """The prompt for a finetuned generator."""
    return prompt.replace(PLACE, token)


def plain_prompt(prompt: str) -> str:
    """The prompt without the rare token, for the base model, prior images and CLIP."""
    return " ".join(prompt.replace(PLACE, "").split())
