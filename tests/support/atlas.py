"""Comparisons with known scores, for the atlas of a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sr.report.comparison import Comparison
from sr.report.components import Values
from sr.report.run import Configuration, Run
from sr.runs.schema import RunResult, Status
from sr.terms import DEFAULT_METRICS, MetricInfo

VIF = MetricInfo("VIF", "", 3, True, 0.005, (0, None))


def comparison(
    gains: Mapping[str, Values],
    inputs: Values,
    names: Sequence[str],
    *,
    data_set: str = "",
    degradation: str = "",
    trained_on: Mapping[str, str] | None = None,
    vif: Mapping[str, float] | None = None,
) -> Comparison:
    """Configurations with the gains ``(T, P)`` of their trainings over the input ``(P,)``, in dB of PSNR.

    Args:
        gains: by the name of the configuration, ``model`` or ``model loss``.
        inputs: PSNR of the input.
        names: of the photographs.
        data_set: see `Comparison`.
        degradation: its name, and key.
        trained_on: key of the degradation of each configuration.
        vif: of each configuration, and 0.5 for the input; None leaves the metric out.
    """
    configurations = []
    for name, values in gains.items():
        model, _, loss = name.partition(" ")
        result = RunResult(Status.DONE, config={}, choices={"model": model}, loss=loss)
        runs = tuple(
            Run(
                f"{name}/{training}",
                (Path(f"{name}/{training}"),),
                result,
                _images(names, row, inputs, None if vif is None else vif[name]),
                dict.fromkeys(names, 0),
                dict(zip(names, names, strict=True)),
                (),
                metrics=DEFAULT_METRICS if vif is None else DEFAULT_METRICS | {"vif": VIF},
                trained_on=(trained_on or {}).get(name, ""),
            )
            for training, row in enumerate(values)
        )
        configurations.append(Configuration(name, (model, loss, "adam"), "", runs))
    label = f"{data_set} ({degradation})" if degradation else data_set
    return Comparison("y", 2, label, None, configurations, label, data_set, degradation, degradation)


def _images(names: Sequence[str], gains: Values, inputs: Values, vif: float | None) -> dict[str, dict[str, float]]:
    more = {} if vif is None else {"vif": vif, "input_vif": 0.5}
    return {
        name: {
            **{"psnr": float(base + gain), "ssim": 0.8, "gain": float(gain)},
            **{"input_psnr": float(base), "input_ssim": 0.8},
            **more,
        }
        for name, gain, base in zip(names, gains, inputs, strict=True)
    }
