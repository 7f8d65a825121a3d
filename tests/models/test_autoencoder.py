import pytest
import torch
from torch import nn
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from robust3d.architectures import architecture
from robust3d.models.autoencoder import Autoencoder, Decoder, VariationalAutoencoder, kl_divergence
from robust3d.models.encoder import Encoder
from robust3d.seeds import torch_generator

RESNET18 = architecture("resnet18")

torch.set_num_threads(1)


def count(module):
    return sum(p.numel() for p in module.parameters())


def images(n=2, size_px=32):
    return torch.rand(n, 3, size_px, size_px, generator=torch_generator("images", size_px))


def test_parameter_counts_are_the_references():
    assert count(Decoder(256)) == 8_629_824
    assert count(Autoencoder(Encoder(RESNET18))) == 19_937_664
    assert count(VariationalAutoencoder(Encoder(RESNET18))) == 20_068_992


@pytest.mark.parametrize(("size_px", "cells"), [(32, 1), (64, 4), (96, 9), (128, 16)])
def test_decoder_keeps_the_cells_of_its_first_layer_that_fit(size_px, cells):
    decoder = Decoder(8)
    out = decoder(torch.rand(2, 8, generator=torch_generator("latent")), size_px)
    assert out.shape == (2, 3, size_px, size_px)
    out.square().sum().backward()
    used = decoder.linear.weight.grad.abs().sum(1).view(512, 16).sum(0) > 0
    assert int(used.sum()) == cells


def test_decoder_refuses_sizes_it_cannot_make():
    with pytest.raises(ValueError, match="multiple of 32"):
        Decoder(8)(torch.zeros(1, 8), 48)


def test_divergence_is_the_closed_form():
    generator = torch_generator("kl")
    mean = torch.randn(100, 16, generator=generator, dtype=torch.float64)
    log_variance = torch.randn(100, 16, generator=generator, dtype=torch.float64)
    theirs = torch_kl(Normal(mean, log_variance.exp().sqrt()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_divergence(mean, log_variance), theirs, rtol=0, atol=1e-6)
    assert (kl_divergence(torch.zeros(3), torch.zeros(3)) == 0).all()


def test_samples_have_the_posteriors_mean_and_spread():
    module = VariationalAutoencoder(Encoder(RESNET18), latent_dim=4).eval()
    mean, log_variance = torch.tensor([[0.0, 1.0, -2.0, 3.0]]), torch.tensor([[0.0, -2.0, 2.0, 1.0]])
    module.posterior = lambda x: (mean.expand(len(x), 4), log_variance.expand(len(x), 4))
    latents = []
    module.decoder.forward = lambda latent, size_px: latents.append(latent) or latent
    _, kl = module.sample(torch.zeros(1, 3, 32, 32).expand(20_000, -1, -1, -1), torch_generator("sample"))
    (latent,) = latents
    torch.testing.assert_close(latent.mean(0), mean[0], rtol=0, atol=0.06)
    torch.testing.assert_close(latent.std(0), log_variance[0].mul(0.5).exp(), rtol=0.03, atol=0)
    assert float(kl) == pytest.approx(float(kl_divergence(mean, log_variance).mean()), rel=1e-5)


def test_evaluation_decodes_the_posteriors_mean():
    module = VariationalAutoencoder(Encoder(RESNET18)).eval()
    x = images()
    with torch.no_grad():
        once, again = module(x), module(x)
        assert torch.equal(once, again)
        torch.testing.assert_close(once, module.decoder(module.posterior(x)[0], 32))
        sampled = [module.sample(x, torch_generator("z", k))[0] for k in (0, 0, 1)]
    assert torch.equal(sampled[0], sampled[1]) and not torch.equal(sampled[0], sampled[2])


@pytest.mark.parametrize("build", [Autoencoder, VariationalAutoencoder])
def test_the_whole_trunk_is_trained_and_the_output_is_not_squashed(build):
    module = build(Encoder(RESNET18)).train()
    x = images(4)
    out = module.sample(x, torch_generator("z"))[0] if build is VariationalAutoencoder else module(x)
    (out - 5).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.encoder.parameters())
    assert out.min() < 0 and isinstance(module.decoder.output, nn.Conv2d)


def test_the_seed_decides_the_weights():
    one, same, other = (Autoencoder(Encoder(RESNET18), seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["decoder.linear.weight"], other["decoder.linear.weight"])
