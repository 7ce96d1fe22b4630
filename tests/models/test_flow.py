"""Flow matching in numbers: the line, its time steps and weights, and the grids of the samplers."""

from types import SimpleNamespace

import flow_miniatures
import pytest
import torch
from chains import base_of

from fairgen.generate.denoising import noised, row_losses
from fairgen.generate.latents import batch_sizes
from fairgen.generate.recipe import Recipe
from fairgen.models import architectures, autoencoder, diffusion, flow
from fairgen.models.architectures import flux2_klein
from fairgen.models.conditioning import Conditioning

EVERY = pytest.mark.parametrize("architecture", flow_miniatures.ARCHITECTURES)


def asked(**changes: object) -> SimpleNamespace:
    return SimpleNamespace(**{"min_snr": 0, "offset_noise": 0, "weighting": "none", "shift": 1, **changes})


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@EVERY
def test_the_line_runs_from_the_picture_to_noise(flow_folders: dict, architecture: str) -> None:
    process = diffusion.process(base_of(flow_folders[architecture]))
    clean, noise = torch.full((3, 1, 1, 1), 2.0), torch.full((3, 1, 1, 1), 10.0)
    steps = torch.tensor([0.0, 250.0, 1000.0])
    assert process.noised(clean, noise, steps).flatten().tolist() == pytest.approx([2, 4, 10])
    assert process.target(clean, noise, steps).flatten().tolist() == [8, 8, 8]


def test_shifts() -> None:
    """Stable Diffusion 3.5 shifts ½ to 0.75; klein's μ (tokens, steps) are those of its pipeline."""
    assert flow.shifted(torch.tensor([0.0, 0.5, 1.0]), 3).tolist() == pytest.approx([0, 0.75, 1])
    for tokens, steps, mu in ((1024, 50, 1.7020), (1024, 28, 1.8592), (4096, 50, 2.0234)):
        assert flux2_klein.mu(tokens, steps) == pytest.approx(mu, abs=1e-4)
    assert flux2_klein.mu(5000, 10) == flux2_klein.mu(5000, 50) == pytest.approx(1.30302, abs=1e-4)
    config = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}
    assert [flow.linear_mu(config, n) for n in (256, 4096)] == pytest.approx([0.5, 1.15])


@pytest.mark.parametrize(("architecture", "middle"), [("sd35", 750), ("klein", 500), ("z-image", 6000 / 7)])
def test_training_steps_are_those_of_the_table(
    flow_folders: dict, monkeypatch: pytest.MonkeyPatch, architecture: str, middle: float
) -> None:
    """u = ½ is index 500, t = 500 before a constant shift; klein's shift by the picture's size is not
    trained.
    """
    process = diffusion.process(base_of(flow_folders[architecture]))
    monkeypatch.setattr(flow, "quantiles", lambda *_: torch.tensor([0.0, 0.5, 0.9999, 1.0]))
    found = process.steps(4, asked(), generator())
    last = process.scheduler.sigmas[-1].item() * 1000
    assert found.tolist() == pytest.approx([1000, middle, last, last], rel=1e-4)
    sigma = middle / 1000
    moved = process.steps(4, asked(shift=2), generator())[1].item()
    assert moved == pytest.approx(2000 * sigma / (1 + sigma), rel=1e-4)


def test_where_the_schemes_train() -> None:
    """Logit-normal u has its median at ½ and few at the ends; `mode` moves uniform ones."""
    found = {name: flow.quantiles(name, 20000, generator()) for name in ("none", "logit_normal", "mode")}
    assert all(u.min() >= 0 and u.max() <= 1 for u in found.values())
    ends = {name: ((u < 0.1) | (u > 0.9)).float().mean().item() for name, u in found.items()}
    assert ends["none"] == pytest.approx(0.2, abs=0.01)
    assert ends["logit_normal"] == pytest.approx(0.028, abs=0.01)
    assert found["logit_normal"].median().item() == pytest.approx(0.5, abs=0.01)
    u = torch.rand(20000, generator=generator())
    assert torch.equal(found["mode"], 1 - u - 1.29 * (torch.cos(torch.pi * u / 2) ** 2 - 1 + u))


def test_weights_of_the_schemes() -> None:
    sigma = torch.tensor([0.25, 0.5, 1.0])
    for name in ("none", "logit_normal", "mode"):
        assert flow.loss_weights(name, sigma).tolist() == [1, 1, 1]
    cosmap = [2 / torch.pi / x for x in (0.625, 0.5, 1)]
    assert flow.loss_weights("cosmap", sigma).tolist() == pytest.approx(cosmap)


@pytest.mark.parametrize(
    ("architecture", "first"), [("sd35", [1.0, 0.6, 0.0]), ("klein", None), ("z-image", [1.0, 0.857143, 0.0])]
)
def test_grids_end_at_zero(flow_folders: dict, architecture: str, first: list[float] | None) -> None:
    """Even steps from 1 to 1/n, shifted, then 0; Stable Diffusion 3.5 takes its scheduler's own."""
    sampler = diffusion.process(base_of(flow_folders[architecture])).sampler("euler")
    channels = {"klein": 16}.get(architecture, 4)
    noise = torch.randn(1, channels, 4, 4)
    run, latents = sampler.begin(2, noise)
    sigmas = run.scheduler.sigmas.tolist()
    if architecture == "klein":
        mu = torch.tensor(flux2_klein.mu(16, 2))
        first = [1.0, (mu.exp() / (mu.exp() + 1)).item(), 0.0]
    if architecture == "sd35":  # from 1 to the table's end, which is shifted once more
        low = run.scheduler.sigma_min
        first = [1.0, 3 * low / (1 + 2 * low), 0.0]
    assert torch.equal(latents, noise)
    assert sigmas == pytest.approx(first, abs=1e-5)
    after = run.step(torch.ones_like(noise), run.steps[0], latents)
    assert torch.allclose(after, noise + (sigmas[1] - sigmas[0]), atol=1e-5)


@EVERY
def test_levels_of_noise_are_sigmas(flow_folders: dict, architecture: str) -> None:
    sampler = diffusion.process(base_of(flow_folders[architecture])).sampler("euler")
    run, _ = sampler.begin(4, torch.zeros(1, 16, 64, 64))
    assert run.levels() == pytest.approx(run.scheduler.sigmas[:-1].tolist())
    assert run.levels()[0] == pytest.approx(1, abs=1e-3)


@EVERY
def test_latents_come_back_from_the_denoisers_scale(flow_folders: dict, architecture: str) -> None:
    """And klein's are its pipeline's: patches of 2 × 2, then the batch norm's statistics."""
    from diffusers import Flux2KleinPipeline

    vae = diffusion.load_vae(base_of(flow_folders[architecture]))
    z, std = torch.randn(2, 4, 8, 8), torch.rand(2, 4, 8, 8)
    mean, spread = autoencoder.normalised(vae, z, std)
    assert torch.allclose(autoencoder.original(vae, mean), z, atol=1e-5)
    assert torch.allclose(autoencoder.original(vae, mean + spread) - z, std, atol=1e-5)
    if architecture != "klein":
        assert torch.allclose(mean, (z - 0.0609) * 1.5305, atol=1e-6)
        return
    patches = Flux2KleinPipeline._patchify_latents(z)
    variance = vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps
    assert torch.allclose(
        mean, (patches - vae.bn.running_mean.view(1, -1, 1, 1)) / variance.sqrt(), atol=1e-5
    )
    assert autoencoder.scale(vae) == 8


@pytest.mark.parametrize("weighting", ["none", "cosmap"])
def test_prior_preservation_weighs_each_row_by_its_own_step(
    flow_folders: dict, monkeypatch: pytest.MonkeyPatch, weighting: str
) -> None:
    """A denoiser that answers zero: mean over the cluster's rows + prior weight · mean over class images, the
    rows grouped, not interleaved, each with the weight of its own σ.
    """
    process = diffusion.process(base_of(flow_folders["z-image"]))
    recipe = Recipe(0, 1, 3, "constant", 0, 0, 0.5, 2, 1, False)
    sizes, loss_weight = batch_sizes(recipe, 1)
    assert sizes == [3, 2]
    assert loss_weight.tolist() == pytest.approx([1 / 3] * 3 + [0.25] * 2)
    settings = asked(weighting=weighting, kind="lora", base=SimpleNamespace(dtype="float32"))
    clean = torch.randn(5, 4, 8, 8, generator=generator())
    batch = noised(process, (clean, torch.zeros(5, 6)), loss_weight, settings, generator())
    monkeypatch.setattr(diffusion, "predict", lambda denoiser, x, steps, text: torch.zeros_like(x))
    text = Conditioning(torch.zeros(5, 1, 1))
    losses = row_losses(SimpleNamespace(device=torch.device("cpu")), batch, text, settings)
    errors = batch.target.square().mean((1, 2, 3)) * flow.loss_weights(weighting, batch.steps / 1000)
    assert losses.sum().item() == pytest.approx(
        (errors[:3].mean() + 0.5 * errors[3:].mean()).item(), rel=1e-5
    )


def test_each_prompt_stands_once_for_each_row_of_its_images() -> None:
    """The text of a batch with class images: neither repeated twice nor interleaved."""
    from fairgen.generate.latents import conditions

    states, lengths = torch.arange(2.0).view(2, 1, 1), torch.tensor([5, 7])
    found = conditions(Conditioning(states, lengths=lengths), [3, 2])
    assert found.states.flatten().tolist() == [0, 0, 0, 1, 1]
    assert found.lengths.tolist() == [5, 5, 5, 7, 7]


def test_every_pipeline_has_its_family() -> None:
    from fairgen.models.pipelines import ARCHITECTURES

    assert architectures.PIPELINES.keys() == ARCHITECTURES.keys()
