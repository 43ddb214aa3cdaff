"""A loader that asks for its draws when the first batch is needed."""

from collections.abc import Iterator

from torch.utils.data import DataLoader

from sr.terms import Batch


class LateLoader(DataLoader[Batch]):
    """A loader whose iterators start with the first batch that is asked of them.

    Lightning makes the iterator of a resumed training before it knows which epoch and batch come next. Loading
    processes are given the first batches at once, those of the interrupted epoch, of which there may be none left: the
    training would end an epoch early.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Batches of an epoch, as the sampler draws them once the first is needed."""
        yield from super().__iter__()
