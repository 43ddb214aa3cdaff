"""Score models, and always the bicubic image, on folders of images under a named protocol."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from sr.benchmark.contenders import SHRINK, Contender
from sr.benchmark.degradations import degraded_as, trained_on, unpaired
from sr.benchmark.rows import Row
from sr.benchmark.scoring import Contestant, ImageScorer
from sr.benchmark.trained import warn_of_trained
from sr.data.degrade.base import Degradation, full_key, name_of
from sr.data.degrade.bicubic import BICUBIC
from sr.data.duplicates import group, join_groups
from sr.data.folders.layouts import set_name
from sr.data.folders.named import FolderOptions
from sr.data.pairs import DEGRADED_BY, stored_size
from sr.data.sizes import too_small_to_score
from sr.data.sources import Source, one_set
from sr.data.stores.fingerprint import content_hash, degradation_settings, digests_of, fingerprint_of
from sr.errors import UserError, check_at_least, check_choice
from sr.inference.enlarger import Enlarger, common_channels
from sr.io.bars import progress_bar
from sr.io.pixel_formats import BITS, PixelFormat
from sr.machine.hardware import find_device
from sr.metrics import Metric
from sr.metrics.scoring import DEFAULT, check_metrics
from sr.terms import BASELINES, PRECISIONS, Baseline, Protocol
from sr.weights.model import Model

log = logging.getLogger(__name__)


def evaluate(
    models: Sequence[Model],
    data: Sequence[Path],
    *,
    scale: int,
    protocol: str = "y",
    ensemble: bool = False,
    save: Path | None = None,
    baselines: Sequence[Baseline] = BASELINES[:1],
    tile: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    contenders: Sequence[Contender] = (),
    bits: int = 8,
    options: FolderOptions | None = None,
    metrics: Mapping[str, Metric] = DEFAULT,
    degradations: Mapping[str, Degradation] | None = None,
    progress: bool = True,
) -> Iterator[Row]:
    """Score every model on every folder, the baselines first, and images side by side.

    Low resolution is that of the data set, or is derived from each whole image as in training and rounded to 8 bits, so
    that every model sees what a file would hold; under ``y`` the published bicubic rows, which `sr.benchmark.selftest`
    makes without rounding as they were, lie within 0.03 dB.

    Args:
        models: of this scale.
        data: folders, plain or of a layout of `sr.data.folders.layouts`.
        scale: factor of the sides; ``y`` cuts as many pixels from each border.
        protocol: ``y`` or ``rgb``, see `sr.metrics.score`.
        ensemble: see `sr.inference.tiles.enlarge`.
        save: folder that gets the outputs as ``MODEL/DATA/NAME.png``.
        baselines: to score next to the models, computed in float64; at scale 1 only the first, the input itself.
        tile: see `sr.inference.enlarger.Enlarger`, as for ``device`` and ``precision``.
        device: on which images are enlarged, and scored if it is a CUDA device.
        precision: of the networks; scores in ``bfloat16`` are labelled so.
        contenders: finished pictures of other programs, scored as they are; each is of one folder.
        bits: of a value, 8 or 16: images are read with as many, and outputs are rounded to as many.
        options: how to read the folders.
        metrics: by name, PSNR and SSIM among them.
        degradations: by name, each makes the low resolution of every image, that of files included; None for the one
            that the models were trained on, for images without files of low resolution.
        progress: draw a bar where standard error is a terminal or a notebook.

    Yields:
        A row for each model on a folder, as soon as the folder is done.

    Raises:
        UserError: for a folder, image or pair that cannot be used, for models whose inputs were degraded otherwise,
            and for an unavailable device.
    """
    check_at_least("--scale", scale, 1)
    check_choice("--protocol", protocol, [*Protocol])
    check_metrics(metrics, scale)
    pixels = _common_format(models, protocol, bits)
    shrink = _common_shrink(models) if scale == 1 else SHRINK
    check_choice("--precision", precision, PRECISIONS)
    chosen_device = find_device(device)
    place = chosen_device if chosen_device.type == "cuda" else torch.device("cpu")  # Apple's GPUs lack float64
    settings: dict[str, Any] = {"tile": tile, "ensemble": ensemble, "device": chosen_device, "precision": precision}
    contestants: list[Contestant] = [
        *((Model(baseline.kernel, scale), []) for baseline in (baselines if scale > 1 else baselines[:1])),
        *((model, [Enlarger(replace(model, nets=[net]), **settings) for net in model.nets]) for model in models),
        *((Model(contender.name, scale), contender) for contender in contenders),
    ]
    cases = _degradations(models, contenders, degradations or {})
    found = [one_set(folder, replace(options or FolderOptions(), scale=scale)) for folder in data]
    for sources in found:
        _check_sizes(sources, scale, protocol)
    every = [(of_folder, label, *case) for of_folder, label in zip(found, _labels(data), strict=True) for case in cases]
    for of_folder, set_label, name, degradation in every:
        sources, label = unpaired(of_folder, set_label, name, degradation)
        for contender in contenders:
            contender.find([source.name for source in sources])
        digests = digests_of(sources)
        warn_of_trained(models, sources, digests, label)
        rows = [_new_row(entry, label, scale, Protocol(protocol), place, bits) for entry in contestants]
        with progress_bar(hidden=not progress) as bar:
            _score_folder(rows, contestants, sources, shrink, pixels, degradation, place, save, metrics, bar)
        infos = {name: metric.info for name, metric in metrics.items()}
        is_derived = [source.lr is None for source in sources]
        made = degradation_settings(degradation, DEGRADED_BY) if any(is_derived) else ()
        fingerprint = fingerprint_of(sources, digests, *pixels.settings, *made)
        contents = [content_hash(source, digests, hr_only=True) for source in sources]
        for row in rows:
            row.metrics, row.data_set, row.fingerprint, row.contents = infos, set_label, fingerprint, contents
            if all(is_derived):
                row.degradation, row.degraded_by = name or name_of(degradation), full_key(degradation)
            row.trained_on = trained_on(row.model) if row.model.nets else ""
            _warn_of_range(row)
        yield from rows


def _check_sizes(sources: Sequence[Source], scale: int, protocol: str) -> None:
    """Refuse images that SSIM cannot score, before hours are spent on the others."""
    border = scale if protocol == Protocol.Y else 0
    for source in sources:
        height, width = (side // scale * scale for side in stored_size(source))
        if height and (why := too_small_to_score(source.hr, (height, width), border)):
            raise UserError(why)


def _degradations(
    models: Sequence[Model], contenders: Sequence[Contender], named: Mapping[str, Degradation]
) -> list[tuple[str | None, Degradation]]:
    """What makes the low resolution, with the name it was asked for by; without names, as in the models' training."""
    if named and contenders:
        raise UserError("--outputs with --degrade: finished pictures were made from other inputs: leave one out")
    if named:
        return [*named.items()]
    of_models = degraded_as(models)
    if contenders and of_models != BICUBIC:
        raise UserError(
            "--outputs beside a model that was trained on degraded images: their inputs differ: leave one out"
        )
    return [(None, of_models)]


def _score_folder(
    rows: Sequence[Row],
    contestants: Sequence[Contestant],
    sources: Sequence[Source],
    shrink: int,
    pixels: PixelFormat,
    degradation: Degradation,
    place: torch.device,
    save: Path | None,
    metrics: Mapping[str, Metric],
    progress: Progress,
) -> None:
    """Score all contestants on the images of a folder."""
    bar = progress.add_task(f"{rows[0].data}: {rows[0].name}", total=len(sources) * len(rows))

    def began(row: Row) -> None:
        progress.update(bar, description=f"{row.data}: {row.name}")

    scorer = ImageScorer(
        rows, contestants, shrink, pixels, place, save, metrics, began, lambda: progress.advance(bar), degradation
    )
    hashed = []
    for image in scorer.score_all(sources):
        hashed.append(image.hashes)
        for row, (_, maker), scores in zip(rows, contestants, image.scores, strict=True):
            row.images.append(scores.image)
            row.by_network.append(scores.by_network)
            if isinstance(maker, Contender):
                maker.note(scores.image.name, scores.faults)
    groups = join_groups([source.group for source in sources], group(hashed))
    for row in rows:
        row.groups = groups


def _warn_of_range(row: Row) -> None:
    """Name scores that lie outside the range that their metric states."""
    for name, info in row.metrics.items():
        values = {image.name: value for image in row.images if (value := image.score(name)) is not None}
        if outside := [image for image, value in values.items() if info.outside(value)]:
            log.warning(
                "%s: %s of %d of %d images is outside its range, %s, such as %g (%s): that or the metric is wrong",
                *(f"{row.data}: {row.name}", info.label, len(outside), len(values), info.range_text),
                *(values[outside[0]], outside[0]),
            )


def _new_row(contestant: Contestant, data: str, scale: int, protocol: Protocol, place: torch.device, bits: int) -> Row:
    """The row of a contestant without scores, which says where and in what precision its outputs are computed."""
    model, enlargers = contestant
    if isinstance(enlargers, Contender):
        return Row(model, data, scale, protocol, precision="", device="", bits=bits, outputs=enlargers.folder)
    if not enlargers:
        return Row(model, data, scale, protocol, device=str(place), bits=bits)
    first = enlargers[0]
    precision = first.precision_for(torch.uint8 if bits == 8 else torch.uint16)
    return Row(model, data, scale, protocol, first.ensemble, precision, str(first.device), bits)


def _common_format(models: Sequence[Model], protocol: str, bits: int) -> PixelFormat:
    """How to read the images for some models: as RGB, which models for gray take as well, or with as many channels."""
    check_choice("--bits", bits, BITS)
    channels = sorted({common_channels(model.nets, model.label) for model in models})
    others = [count for count in channels if count not in (1, 3)]
    if others and len(channels) > 1:
        raise UserError(
            f"the models take images of {' and '.join(map(str, channels))} channels: evaluate them one at a time"
        )
    if others and protocol == Protocol.Y:
        raise UserError(f"--protocol y scores the luma of RGB, or gray: for {others[0]} channels use --protocol rgb")
    return PixelFormat(others[0] if others else 3, bits)


def _common_shrink(models: Sequence[Model]) -> int:
    """How far the input of models of scale 1 was shrunk in training: their low resolution is derived alike."""
    known = sorted({model.shrink for model in models if model.shrink is not None})
    if len(known) > 1:
        raise UserError(
            f"the models were trained with data.shrink={' and '.join(map(str, known))}: evaluate them one at a time"
        )
    shrink = known[0] if known else SHRINK
    for model in models:
        if model.shrink is None:
            log.warning("%s: does not record data.shrink; low resolution is derived with %d", model.label, shrink)
    return shrink


def _labels(folders: Sequence[Path]) -> list[str]:
    """Names of data sets: their folders', or whole paths where two have the same."""
    names = [set_name(folder) for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]
