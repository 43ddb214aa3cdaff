"""The data module: from folders of images to training, validation and test batches."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from sr.data.batches import Augment, EpochDraws, TrainingPairs, WholePairs
from sr.data.degrade.base import Degradation
from sr.data.degrade.bicubic import BICUBIC
from sr.data.duplicates import describe
from sr.data.image_set import ImageSet, shared_pool
from sr.data.loader import LateLoader
from sr.data.pairs import check_is_degraded, describe_degradation
from sr.data.parts import find_groups, find_parts, split_parts
from sr.data.sizes import check_crops_fit, check_scored, check_whole_images_fit, large_enough, smaller_than_patch
from sr.data.sources import Source
from sr.data.stores.kinds import CacheKind
from sr.data.variants import rotated_copies, shrunk_copies, with_factors
from sr.errors import UserError, check_at_least, check_choice
from sr.image import to_float
from sr.io.paths import user_path
from sr.io.pixel_formats import checked_format, conversions
from sr.terms import Batch, DataSummary, Part

log = logging.getLogger(__name__)


class ISRDataModule(LightningDataModule):
    """Image pairs for training, validation and testing, split by photograph.

    Batches are dicts of ``lr`` ``(N, C, h, w)`` and ``hr`` ``(N, C, scale*h, scale*w)``, float32 in [0, 1] on the
    training device, and ``name``, a list of N; those of whole images also name the ``group`` of each. C is
    ``channels``, 3 by default.
    """

    def __init__(
        self,
        find: Callable[..., list[Source]],
        root: str | Sequence[str] | None = None,
        *,
        high_res: str | None = None,
        low_res: str | None = None,
        low_res_name: str | None = None,
        recursive: bool = False,
        val_root: str | Sequence[str] | None = None,
        test_root: str | Sequence[str] | None = None,
        scale: int = 1,
        scales: Sequence[int] | None = None,
        shrink: int = 2,
        degrade: Degradation | None = None,
        channels: int = 3,
        bits: int = 8,
        patch: int | None = 96,
        batch_size: int = 16,
        repeat: int = 1,
        same_every_epoch: bool = False,
        augment: Augment | None = None,
        seed: int = 23,
        split_seed: int = 23,
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
        """Check and store the settings; images are read in `setup`.

        Args:
            find: lists the sources of ``root``; also gets the scale and the next four options, if it takes them.
            root: folder or folders; ``~`` is the home folder.
            high_res: in place of ``root``, a folder of high-resolution images that is taken as it is.
            low_res: folder of their low-resolution partners, if it is not found by itself.
            low_res_name: what these are called, from ``{stem}`` and ``{scale}``, if it is unusual.
            recursive: read images in subfolders, too.
            val_root: folder or folders of validation images of your own, instead of ``val_share``.
            test_root: folder or folders of test images of your own, instead of ``test_share``.
            scale: factor between the sides of hr and lr.
            scales: only with scale 1: factors to train for together, as VDSR does; each image appears once per factor,
                downscaled and upscaled again.
            shrink: for scale 1 without low_res/: the input is downscaled by this factor and upscaled again.
            degrade: makes the low resolution that is not in files; bicubic by default. What is drawn for validation and
                test images depends on ``split_seed`` and their names alone.
            channels: of the images, see `sr.io.pixel_formats.read_pixels`.
            bits: of a value, 8 or 16.
            patch: side of training crops in HR pixels, a multiple of scale; None for whole images.
            batch_size: training examples per step and device.
            repeat: crops per image and epoch.
            same_every_epoch: train on the crops of the first epoch in all epochs, to test whether they can be learned.
            augment: see `Augment`.
            seed: of order, crops and augmentation.
            split_seed: of the split, which nothing else changes but the images' names and the shares.
            test_share: share of photographs held out for testing, see `sr.data.splits.split_groups`.
            val_share: share of the rest for validation.
            folds: number of cross-validation parts, or None.
            fold: the part for validation.
            group_near_identical: keep rescaled, recompressed, flipped or rotated copies of a photograph on one side of
                the split.
            train_scored: number of training images, chosen by a hash, that are scored whole as well.
            on_bad_file: ``error``, or ``skip`` for files that cannot be read, are not images, or have no partner.
            on_small_image: ``error``, or ``skip`` for training images smaller than ``patch``, and for any that is too
                small to be scored.
            cache: where decoded images are held: ``auto``, ``device``, ``memory``, ``disk`` or ``none``.
            cache_dir: folder of the disk cache.
            num_workers: number of loading processes; useful only with ``cache`` disk or none.

        Raises:
            UserError: for settings that are invalid for any data.
        """
        super().__init__()
        self.folders: dict[str, Any] = {"high_res": high_res, "low_res": low_res, "low_res_name": low_res_name}
        self.folders |= {"recursive": recursive, "val_root": val_root, "test_root": test_root}
        for option, value in (("shrink", shrink), ("batch_size", batch_size), ("repeat", repeat)):
            check_at_least(f"data.{option}", value, 1)
        for option, value in (("num_workers", num_workers), ("train_scored", train_scored)):
            check_at_least(f"data.{option}", value, 0)
        for option, policy in (("on_bad_file", on_bad_file), ("on_small_image", on_small_image)):
            check_choice(f"data.{option}", policy, ("error", "skip"))
        check_choice("data.cache", cache, list(CacheKind))
        self.pixels = checked_format(channels, bits)
        _check_patch(patch, scale)
        _check_scales(scales, scale)
        self.find, self.root, self.on_bad_file, self.on_small_image = find, root, on_bad_file, on_small_image
        self.scale, self.scales, self.shrink, self.patch = scale, list(scales or []), shrink, patch
        self.degrade = degrade or BICUBIC
        self.batch_size, self.repeat, self.same_every_epoch = batch_size, repeat, same_every_epoch
        self.augment, self.seed, self.train_scored = augment or Augment(), seed, train_scored
        self.split_seed = split_seed
        self.test_share, self.val_share, self.folds, self.fold = test_share, val_share, folds, fold
        self.group_near_identical, self.num_workers = group_near_identical, num_workers
        self.cache, self.cache_dir = cache, user_path(cache_dir) if cache_dir else None
        self.images: ImageSet | None = None

    def setup(self, stage: str | None = None) -> None:
        """Decode, check and split the images; called by Lightning before training and before testing.

        Raises:
            UserError: for bad files, wrong sizes, or too few images.
        """
        if self.images and shared_pool.retain(self, self.images):
            return  # called again for another stage
        self.images = shared_pool.acquire(
            self,
            self._find_sources(),
            scale=self.scale,
            shrink=self.shrink,
            kind=self.cache,
            folder=self.cache_dir,
            on_bad_file=self.on_bad_file,
            device=self._device(),
            pixels=self.pixels,
            ranks=self.trainer.world_size if self.trainer else 1,
            degradation=self.degrade,
            degrade_seed=self.split_seed,
        )
        self.store = self.images.store
        groups = find_groups(self.store, self.images.near_identical if self.group_near_identical else [])
        self.groups, self.duplicates = groups.of_images, groups.near
        self._log_warnings(self.images)
        self.split = split_parts(
            self.store.sources,
            groups,
            seed=self.split_seed,
            test_share=self.test_share,
            val_share=self.val_share,
            folds=self.folds,
            fold=self.fold,
        )
        self._check_sizes()

    def teardown(self, stage: str | None = None) -> None:
        """Release the images; they stay decoded until a run in this process needs different ones."""
        shared_pool.release(self)

    def _find_sources(self) -> list[Source]:
        sources = find_parts(
            self.find, self.root, scale=self.scale, on_bad_file=self.on_bad_file, folds=self.folds, **self.folders
        )
        check_is_degraded(sources, self.degrade)
        if self.scales:
            sources = with_factors(sources, self.scales)
        rotated = rotated_copies(sources) if self.augment.rotate45 else []
        shrunk = shrunk_copies(sources, self.augment.sizes) if self.augment.sizes else []
        found = [*sources, *rotated, *shrunk]
        return large_enough(found, self.scale) if self.on_small_image == "skip" else found

    def _log_warnings(self, images: ImageSet) -> None:
        if self.duplicates:
            log.warning(describe(self.duplicates, [source.name for source in self.store.sources]))
        for line in images.warnings:
            log.warning("%s (see sr check-data)", line)
        for line in conversions([source.hr for source in self.store.sources], self.pixels):
            log.warning("%s", line)

    def _check_sizes(self) -> None:
        self._too_small: frozenset[int] = frozenset()
        training = self._indices(Part.TRAIN, copies=True)
        if self.patch is None:
            check_whole_images_fit(self.store, training, self.batch_size)
        elif self.on_small_image == "skip":
            self._too_small = smaller_than_patch(self.store, training, self.patch)
        else:
            check_crops_fit(self.store, training, patch=self.patch, scale=self.scale)

    def _indices(self, part: Part, *, copies: bool = False) -> list[int]:
        """Indices of the images of a part, with copies (augmentation of the training part) only on request."""
        groups = getattr(self.split, part)
        return [
            index
            for index, source in enumerate(self.store.sources)
            if self.groups[index] in groups
            and (copies or not source.is_copy)
            and not (part == Part.TRAIN and index in self._too_small)
        ]

    @property
    def fingerprint(self) -> str:
        """Hash of the names and contents of all images."""
        return self.store.fingerprint

    def describe(self) -> DataSummary:
        """A summary of the images for the record of a run."""
        groups = [[self.store.sources[index].name for index in group] for group in self.duplicates]
        return DataSummary(self.fingerprint, self.counts(), groups)

    def degradation(self) -> str:
        """How the low-resolution images are made, and their scale, in words."""
        return describe_degradation(self.store.sources, self.scale, self.scales, self.shrink, self.pixels, self.degrade)

    def image_list(self) -> list[dict[str, str]]:
        """Name, photograph, part of the split and content hash of each image, and the hash of its sharp side.

        Copies of images, which are augmentation, are left out.
        """
        store = self.store
        return [
            {
                "name": store.sources[index].name,
                "group": self.groups[index],
                "part": part,
                "hash": store.content_hash(index),
                "hr_hash": store.content_hash(index, hr_only=True),
            }
            for part in Part
            for index in self._indices(part)
        ]

    def counts(self) -> dict[Part, int]:
        """Number of images in each part, without copies of them."""
        return {part: len(self._indices(part)) for part in Part}

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of one epoch; a run that was interrupted during an epoch resumes at the next batch."""
        indices = self._indices(Part.TRAIN, copies=True)
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
        """Loaders of the validation images and of some training images; all ranks get all images, for equal scores."""
        parts = [self._indices(Part.VAL), *filter(None, [self._scored_in_training()])]
        return [self._loader(self._whole(indices)) for indices in parts]

    def _scored_in_training(self) -> list[int]:
        by_hash = sorted(self._indices(Part.TRAIN), key=self.store.content_hash)  # of many photographs and all factors
        return sorted(by_hash[: self.train_scored])

    def check_scored(self, protocol: str, *, test: bool) -> None:
        """Refuse images that PSNR or SSIM could not score; see `_scored`.

        Raises:
            UserError: with the first of them.
        """
        check_scored(self.store, self._scored(test=test), scale=self.scale, protocol=protocol)

    def smallest_scored(self, *, test: bool) -> tuple[Path, Batch]:
        """The file and the batch of the image that will be scored with the fewest pixels a side; see `_scored`."""
        store = self.store

        def side(index: int) -> int:  # without the border that protocol y cuts
            return min(store.sizes[index]) - 2 * (store.sources[index].factor or self.scale)

        smallest = min(self._scored(test=test), key=side)
        batch: Batch = self.transfer_batch_to_device(self._whole([smallest])[0], self._device(), 0)
        return store.sources[smallest].hr, self.on_after_batch_transfer(batch, 0)

    def _scored(self, *, test: bool) -> list[int]:
        """The images for validation, some of training, and those for testing if wanted."""
        return [*self._indices(Part.VAL), *self._scored_in_training(), *(self._indices(Part.TEST) if test else ())]

    def test_dataloader(self) -> DataLoader[Batch]:
        """The test images.

        Raises:
            UserError: if there are none.
        """
        if not self.split.test:
            raise UserError("no test images are held out: set data.test_share above 0, or test=false")
        return self._loader(self._whole(self._indices(Part.TEST)))

    def _whole(self, indices: Sequence[int]) -> WholePairs:
        return WholePairs(self.store, indices, self.scale, self.groups)

    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    def _loader(self, dataset: Dataset[Batch], sampler: Sampler[Any] | None = None) -> DataLoader[Batch]:
        is_on_device = self.store.kind == CacheKind.DEVICE
        workers = 0 if is_on_device else self.num_workers
        return LateLoader(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self._device().type == "cuda" and not is_on_device,  # else a copy waits for the device
            generator=torch.Generator(),  # without it, each new iterator advances the global random state
        )

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move the images to the device; Lightning's default would also traverse the names, which is slow."""
        lr, hr = (image.to(device, non_blocking=True) for image in (batch["lr"], batch["hr"]))
        return {**batch, "lr": lr, "hr": hr}

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Convert uint8 or uint16 to float32 in [0, 1] on the device."""
        return {**batch, "lr": to_float(batch["lr"]), "hr": to_float(batch["hr"])}


def _check_patch(patch: int | None, scale: int) -> None:
    if patch is not None and (not isinstance(patch, int) or patch < scale or patch % scale):
        raise UserError(f"data.patch={patch!r} must be a positive multiple of scale={scale}, or null")


def _check_scales(scales: Sequence[int] | None, scale: int) -> None:
    if scales is None:
        return
    if scale != 1 or not scales or any(not isinstance(factor, int) or factor < 2 for factor in scales):
        raise UserError(f"data.scales={scales} must be factors of 2 or more, and needs scale=1, not scale={scale}")
    if len(set(scales)) < len(scales):
        raise UserError(f"data.scales={scales} names a factor twice")
