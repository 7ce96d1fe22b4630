"""The base model as the config names it; nothing heavy is imported here."""

from dataclasses import dataclass

from fairgen.models import single_file
from fairgen.models.checkpoints import locate


@dataclass(frozen=True)
class Base:
    """The base model, the dtype of its frozen parts, and the picture size."""

    model: str  # hub id, folder in diffusers' layout, or single file
    revision: str | None
    variant: str | None
    dtype: str
    resolution: int
    config: str | None = None  # of a single file: the folder that describes it
    memory: str = (
        "normal"  # low: frozen linear layers in eight bits, one picture at a time in the autoencoder
    )

    @property
    def layout(self) -> str:
        """Hub id or folder in diffusers' layout: the base itself, or what describes its file."""
        single = single_file.is_one(self.model)
        return str(single_file.config_folder(self.model, self.config)) if single else locate(self.model)
