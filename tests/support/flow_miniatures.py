"""Random-weight miniatures of the architectures that are trained by flow matching, as folders."""

from pathlib import Path

import miniatures
import torch

from fairgen.embedded import tiny

ARCHITECTURES = ("sd35", "klein", "z-image")
WIDTH = 16  # of Qwen3's states
AUTOENCODER = {
    "block_out_channels": (4, 8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "latent_channels": 4,
    "norm_num_groups": 2,
    "sample_size": 32,
}
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def shifted_vae():
    """An autoencoder with a shift of its latents, as Stable Diffusion 3's."""
    from diffusers import AutoencoderKL

    plain = {"use_quant_conv": False, "use_post_quant_conv": False}
    return AutoencoderKL(**AUTOENCODER, **plain, scaling_factor=1.5305, shift_factor=0.0609)


def qwen(layers: int, head: bool):
    """A tokenizer of bytes and a Qwen3 of so many layers."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM, Qwen3Model

    words = [*sorted(ByteLevel.alphabet()), *MARKS]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[], additional_special_tokens=list(MARKS[1:]))
    tokenizer.chat_template = TEMPLATE
    config = Qwen3Config(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        tie_word_embeddings=True,
    )
    return tokenizer, (Qwen3ForCausalLM if head else Qwen3Model)(config).eval()


def sd35(folder: Path, t5: bool = True):
    """Two double-stream blocks, the first with a second attention, two CLIPs and T5."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
    from transformers import CLIPTextModelWithProjection, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

    tiny.write_tokenizer(folder / "words")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "words")
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -2.0)]
    pieces += [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyzV"]
    long = T5Config(
        vocab_size=len(pieces), d_model=32, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0
    )
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=16,
        pooled_projection_dim=24,
        pos_embed_max_size=12,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=shifted_vae(),
        text_encoder=CLIPTextModelWithProjection(miniatures.text_config(width=12)),
        tokenizer=tokenizer,
        text_encoder_2=CLIPTextModelWithProjection(miniatures.text_config("gelu", 3, 16)),
        tokenizer_2=tokenizer,
        text_encoder_3=T5EncoderModel(long).eval() if t5 else None,
        tokenizer_3=T5Tokenizer(vocab=pieces, extra_ids=0) if t5 else None,
    )


def klein(folder: Path):
    """A double-stream and two single-stream blocks, a batch norm of the latents that is no identity."""
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )

    vae = AutoencoderKLFlux2(**AUTOENCODER)
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    transformer = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * WIDTH,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    tokenizer, encoder = qwen(28, head=True)
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        transformer=transformer,
    )


def z_image(folder: Path):
    """Two blocks and a refiner of each stream."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel

    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[8, 4, 4],
        axes_lens=[1024, 64, 64],
    )
    tokenizer, encoder = qwen(4, head=False)
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=6.0),
        vae=shifted_vae(),
        text_encoder=encoder,
        tokenizer=tokenizer,
        transformer=transformer,
    )


BUILD = {"sd35": sd35, "klein": klein, "z-image": z_image}


def build(folder: Path, architecture: str, **options: object) -> Path:
    """Write a pipeline of one of `ARCHITECTURES`; returns its folder."""
    torch.manual_seed(0)
    place = folder / architecture
    BUILD[architecture](folder, **options).save_pretrained(place)
    return place
