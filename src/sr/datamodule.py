"""ISRDataModule: folders of images -> batches ``{lr, hr, name}``; splits, crops and augmentation."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from sr.data.alignment import fault, one_thread
from sr.data.batches import Augment, Batch, EpochDraws, TrainingPairs, WholePairs
from sr.data.duplicates import describe, near_identical
from sr.data.sources import Source
from sr.data.splits import split_groups
from sr.data.store import PairStore
from sr.errors import UserError, check_at_least, check_choice
from sr.image import is_constant, to_float

log = logging.getLogger(__name__)

_PAIRS_CHECKED = 64  # of given low resolution, so that a start does not take noticeably longer


class ISRDataModule(LightningDataModule):
    """Image pairs for training and validation, split by photograph.

    Batches reach the module as float32 in [0, 1] on its device: ``lr`` ``(N, 3, h, w)``, ``hr``
    ``(N, 3, scale*h, scale*w)``, ``name`` a list of N.
    """

    def __init__(
        self,
        find: Callable[[Any], list[Source]],
        root: str | Sequence[str] | None = None,
        *,
        scale: int = 1,
        scales: Sequence[int] | None = None,
        shrink: int = 2,
        patch: int | None = 96,
        batch_size: int = 16,
        repeat: int = 1,
        same_every_epoch: bool = False,
        augment: Augment | None = None,
        seed: int = 23,
        test_share: float = 0.2,
        val_share: float = 0.1,
        folds: int | None = None,
        fold: int = 0,
        group_near_identical: bool = True,
        train_scored: int = 8,
        on_bad_file: str = "error",
        on_small_image: str = "error",
        cache: str = "auto",
        cache_dir: str | None = None,
        num_workers: int = 0,
    ) -> None:
        """Keep the settings; nothing is read before `setup`.

        Args:
            find: lists the sources of ``root``.
            root: folder or folders.
            scale: factor between the sides of hr and lr.
            scales: at scale 1, several factors at once, as VDSR was trained: each image is there once for each, shrunk
                by it and enlarged again.
            shrink: for scale 1 without low_res/: the input is shrunk by this and enlarged again.
            patch: side of training crops in HR pixels, a multiple of scale; None for whole images.
            batch_size: training examples of one step on one device.
            repeat: crops taken from each image in an epoch.
            same_every_epoch: draw the crops of the first epoch again and again, to see whether they can be learned.
            augment: see `Augment`.
            seed: of splits, order, crops and augmentation.
            test_share: see `sr.data.splits.split_groups`, as are val_share, folds and fold.
            val_share: share of the rest that validates.
            folds: number of cross-validation parts, or None.
            fold: the part that validates.
            group_near_identical: keep rescaled, recompressed, flipped or turned copies of a photograph on one side.
            train_scored: training images scored whole beside the validation images.
            on_bad_file: ``error`` or ``skip``.
            on_small_image: what to do with a training image smaller than ``patch``: ``error`` or ``skip``.
            cache: ``auto``, ``device``, ``memory``, ``disk`` or ``none``.
            cache_dir: folder of the disk cache.
            num_workers: processes that load; of use only with ``cache`` disk or none.

        Raises:
            UserError: for settings that no data could satisfy.
        """
        super().__init__()
        for option, value in (("shrink", shrink), ("batch_size", batch_size), ("repeat", repeat)):
            check_at_least(f"data.{option}", value, 1)
        check_at_least("data.num_workers", num_workers, 0)
        check_choice("data.on_small_image", on_small_image, ("error", "skip"))
        if patch is not None and (not isinstance(patch, int) or patch < scale or patch % scale):
            raise UserError(f"data.patch={patch!r} must be a positive multiple of scale={scale}, or null")
        if scales is not None and (
            scale != 1 or not scales or any(not isinstance(one, int) or one < 2 for one in scales)
        ):
            raise UserError(f"data.scales={scales} must be factors of 2 or more, and needs scale=1, not scale={scale}")
        self.find, self.root, self.scales = find, root, list(scales or [])
        self.scale, self.shrink, self.patch = scale, shrink, patch
        self.batch_size, self.repeat, self.augment, self.seed = batch_size, repeat, augment or Augment(), seed
        self.test_share, self.val_share, self.folds, self.fold = test_share, val_share, folds, fold
        self.same_every_epoch = same_every_epoch
        self.group_near_identical = group_near_identical
        self.train_scored, self.num_workers = train_scored, num_workers
        self.on_bad_file, self.on_small_image, self.cache = on_bad_file, on_small_image, cache
        self._too_small: frozenset[int] = frozenset()
        self.cache_dir = Path(cache_dir).expanduser() if cache_dir else None

    def setup(self, stage: str | None = None) -> None:
        """Decode, check and split the images; Lightning calls it before training.

        Raises:
            UserError: for anything wrong with the files, their sizes, or their number.
        """
        if hasattr(self, "split"):
            return  # Lightning asks again before training and before testing
        sources = self.find(self.root)
        if self.scales:
            if given := next((source for source in sources if source.lr), None):
                raise UserError(
                    f"{given.lr}: data.scales derives all low-resolution images: remove low_res/, or set scale"
                )
            sources = [
                replace(source, name=f"{source.name}@x{factor}", factor=factor)
                for source in sources
                for factor in self.scales
            ]
        if self.augment.rotate45:
            sources += [replace(source, name=f"{source.name}@45", rotated=True) for source in sources]
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        self.store = _open_store(
            tuple(sources),
            scale=self.scale,
            shrink=self.shrink,
            kind=self.cache,
            folder=self.cache_dir,
            on_bad_file=self.on_bad_file,
            device=device,
        )
        self.duplicates = _near_identical(self.store) if self.group_near_identical else []
        self.groups = _join([source.group for source in self.store.sources], self.duplicates)
        if self.duplicates:
            log.warning(describe(self.duplicates, [source.name for source in self.store.sources]))
        for line in _doubts(self.store):
            log.warning("%s (sr check-data says more)", line)
        self.split = split_groups(
            self.groups,
            seed=self.seed,
            test_share=self.test_share,
            val_share=self.val_share,
            folds=self.folds,
            fold=self.fold,
        )
        self._too_small = self._small_images() if self.patch and self.on_small_image == "skip" else frozenset()
        self._check_sizes()

    def _small_images(self) -> frozenset[int]:
        """Training images that no crop fits into."""
        assert self.patch is not None
        indices = self._indices("train", turned=True)
        small = frozenset(index for index in indices if min(self.store.sizes[index]) < self.patch)
        if len(small) == len(indices):
            raise UserError(f"data.patch={self.patch} is larger than every training image: lower it")
        if small:
            log.info(
                "%d of %d training images are smaller than data.patch=%d and left out",
                len(small),
                len(indices),
                self.patch,
            )
        return small

    def _check_sizes(self) -> None:
        sizes = {self.store.sizes[index]: self.store.sources[index] for index in self._indices("train", turned=True)}
        if self.patch is None:
            if self.batch_size > 1 and len(sizes) > 1:
                raise UserError(
                    f"images of {len(sizes)} sizes cannot be batched whole: "
                    f"set data.patch=N (crops), or data.batch_size=1"
                )
            return
        for (height, width), source in sizes.items():
            if min(height, width) < self.patch:
                raise UserError(
                    f"data.patch={self.patch} is larger than {source.name} ({width}x{height}): "
                    f"set data.patch={min(height, width) // self.scale * self.scale} or less"
                )

    def _indices(self, part: str, *, turned: bool = False) -> list[int]:
        groups = getattr(self.split, part)
        return [
            index
            for index, source in enumerate(self.store.sources)
            if self.groups[index] in groups
            and (turned or not source.rotated)
            and not (part == "train" and index in self._too_small)
        ]

    @property
    def fingerprint(self) -> str:
        """Hash of the names and contents of all images."""
        return self.store.fingerprint

    def describe(self) -> dict[str, Any]:
        """Fingerprint, images in each part, and the groups of near-identical images, for the record of a run."""
        groups = [[self.store.sources[index].name for index in group] for group in self.duplicates]
        return {"fingerprint": self.fingerprint, "images": self.counts(), "near_identical": groups}

    def counts(self) -> dict[str, int]:
        """Images in each part, turned copies left out."""
        return {part: len(self._indices(part)) for part in ("train", "val", "test")}

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of one epoch; a run that stopped inside an epoch goes on where it was."""
        indices = self._indices("train", turned=True)
        dataset = TrainingPairs(
            self.store, indices, scale=self.scale, patch=self.patch, augment=self.augment, seed=self.seed
        )
        trainer = self.trainer
        draws = EpochDraws(
            len(indices),
            batch_size=self.batch_size,
            repeat=self.repeat,
            seed=self.seed,
            rank=trainer.global_rank if trainer else 0,
            ranks=trainer.world_size if trainer else 1,
            same_every_epoch=self.same_every_epoch,
            done=lambda: trainer.fit_loop.epoch_loop.batch_progress.current.ready if trainer else 0,
        )
        draws.set_epoch(trainer.current_epoch if trainer else 0)
        return self._loader(dataset, draws)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """The validation images, then some training images; whole on every rank, so that all agree on the score."""
        scored = self._indices("train")[: self.train_scored]
        loaders = [self._loader(WholePairs(self.store, self._indices("val")))]
        return [*loaders, self._loader(WholePairs(self.store, scored))] if scored else loaders

    def test_dataloader(self) -> DataLoader[Batch]:
        """The test images.

        Raises:
            UserError: if none are held out.
        """
        if not self.split.test:
            raise UserError("no test images are held out: set data.test_share above 0, or test=false")
        return self._loader(WholePairs(self.store, self._indices("test")))

    def _loader(self, dataset: Dataset[Batch], sampler: Sampler[Any] | None = None) -> DataLoader[Batch]:
        workers = 0 if self.store.kind == "device" else self.num_workers
        return DataLoader(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # its own, or each start of a loader would move the network's random state
        )

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move the images; Lightning's own way would look at each name."""
        images = {key: batch[key].to(device, non_blocking=True) for key in ("lr", "hr")}
        return {**images, "name": batch["name"]}

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn uint8 into float on the device."""
        return {"lr": to_float(batch["lr"]), "hr": to_float(batch["hr"]), "name": batch["name"]}


def _join(groups: list[str], near: Sequence[Sequence[int]]) -> list[str]:
    """Give the groups of near-identical images one name."""
    joined = {group: group for group in groups}
    for indices in near:
        same = {joined[groups[index]] for index in indices}
        joined = {group: min(same) if now in same else now for group, now in joined.items()}
    return [joined[group] for group in groups]


def _originals(store: PairStore) -> list[int]:
    """Indices without copies that are turned or of another factor."""
    first = min((source.factor for source in store.sources if source.factor), default=None)
    return [index for index, source in enumerate(store.sources) if not source.rotated and source.factor == first]


@lru_cache(maxsize=1)
def _near_identical(store: PairStore) -> list[list[int]]:
    """Look among the originals; their copies share their group anyway."""
    originals = _originals(store)
    found = near_identical(store[index][1] for index in originals)
    return [[originals[place] for place in group] for group in found]


@lru_cache(maxsize=1)
def _doubts(store: PairStore) -> list[str]:
    """What makes training worse without ending it, a line a kind: constant images, low resolution that does not fit."""
    originals = _originals(store)
    given = [index for index in originals if store.sources[index].lr]
    looked_at = given[:: max(1, -(-len(given) // _PAIRS_CHECKED))]
    found: dict[str, list[str]] = defaultdict(list)
    if store.kind != "none":  # it would decode all images once more
        for index in originals:
            if is_constant(store[index][1]):
                found[f"of {len(originals)} images: of one colour"].append(store.sources[index].name)
    with one_thread():
        for index in looked_at:
            if wrong := fault(*store[index]):
                found[f"of {len(looked_at)} pairs looked at: {wrong.kind}"].append(store.sources[index].name)
    return [f"{len(names)} {what}, such as {names[0]}" for what, names in found.items()]


@lru_cache(maxsize=1)
def _open_store(sources: tuple[Source, ...], **settings: Any) -> PairStore:
    """Keep the last store, so that the folds and cells of one process decode once."""
    return PairStore(sources, **settings)
