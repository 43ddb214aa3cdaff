"""What statsmodels' MixedLM makes of small simulated comparisons: the numbers that tests/report compares with.

pip install statsmodels && python -m scripts.bench.mixed_models     # writes tests/report/mixed_models.json
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.formula.api as formulas

# Photographs, trainings, and standard deviations between trainings, of noise, and of the interaction.
_DESIGNS = [(12, 4, 0.2, 0.1, 0.15), (20, 3, 0.1, 0.1, 0.1), (16, 5, 0.12, 0.06, 0.2)]
_FILE = Path(__file__).parents[2] / "tests/report/mixed_models.json"


def main() -> None:
    """Simulate, fit by restricted maximum likelihood, and write scores and estimates."""
    warnings.simplefilter("ignore")
    fits = []
    for number, (photographs, trainings, training_sd, noise_sd, interaction_sd) in enumerate(_DESIGNS):
        random = np.random.default_rng(100 + number)
        shape = (2, trainings, photographs)
        scores = random.normal(30, 1, photographs) + np.array([0, 0.1])[:, None, None]
        scores = scores + random.normal(0, interaction_sd, (2, 1, photographs))
        scores = scores + random.normal(0, training_sd, (2, trainings, 1)) + random.normal(0, noise_sd, shape)
        scores = scores.round(4)
        rows = [
            {"y": scores[c, t, p], "c": c, "training": f"{c} {t}", "photograph": p, "interaction": f"{c} {p}", "all": 1}
            for c, t, p in np.ndindex(shape)
        ]
        parts = {name: f"0 + C({name})" for name in ("photograph", "interaction", "training")}
        model = formulas.mixedlm("y ~ C(c)", pd.DataFrame(rows), groups="all", vc_formula=parts)
        candidates = [model.fit(reml=True, method=method, maxiter=5000) for method in ("lbfgs", "powell")]
        fit = max(candidates, key=_likelihood)
        variances = dict(zip(model.exog_vc.names, map(float, fit.vcomp), strict=True))
        estimates = {"difference": float(fit.fe_params.iloc[1]), "error": float(fit.bse_fe.iloc[1])}
        fits.append({**estimates, **variances, "noise": float(fit.scale), "scores": scores.tolist()})
        print({name: value for name, value in fits[-1].items() if name != "scores"})
    _FILE.write_text(json.dumps(fits) + "\n")


def _likelihood(fit: object) -> float:
    return float(fit.llf)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
