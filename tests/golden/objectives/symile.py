import torch

from sensorfusion.objectives.symile import Symile
from sensorfusion.objectives.temperature import Temperature
from tests.golden.objectives.common import assert_close, gradients, leaf, loss_of


def check(arrays, hyper, tolerance):
    recorded = iter(torch.from_numpy(arrays["perms"]).long())
    modes = {"n": lambda others, size, generator: next(recorded), "n_squared": None}
    for mode, partners in modes.items():
        reps, scale = leaf(arrays["reps"]), float(arrays["logit_scale"])
        temperature = Temperature(1 / scale, learned=True, bounds=(1e-4, 10)).double()
        temperature.log_scale.data.fill_(scale).log_()
        term = Symile(temperature=temperature, partners=partners, unit_length=False)
        loss = loss_of(term, {f"m{k}": rows for k, rows in enumerate(reps.unbind())})
        d_reps, d_scale = gradients(loss, reps, temperature.log_scale)
        assert_close(loss, arrays[f"loss_{mode}"], tolerance["loss"], mode)
        assert_close(d_reps, arrays[f"grad_{mode}"], tolerance["grad"], f"grad {mode}")
        assert_close(
            d_scale / scale, arrays[f"grad_scale_{mode}"], tolerance["grad"], f"scale {mode}"
        )
