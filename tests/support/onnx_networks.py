"""Small ONNX networks as others may write them: nearest-neighbour enlargement with various wrappings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnx import NodeProto, TensorProto, helper

FLOAT, HALF, BYTES = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


def enlargement(source: str, target: str, scale: int) -> list[NodeProto]:
    """Nodes that repeat each pixel of ``(N, C, h, w)``."""
    sizes = helper.make_tensor("", FLOAT, [4], [1.0, 1.0, scale, scale])
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return [
        helper.make_node("Constant", [], ["sizes"], value=sizes),
        helper.make_node("Resize", [source, "", "sizes"], [target], **nearest),
    ]


def constant(name: str, *values: float, kind: int = FLOAT, shape: Sequence[int] = ()) -> NodeProto:
    """A node that makes a constant."""
    return helper.make_node("Constant", [], [name], value=helper.make_tensor("", kind, shape, values))


def swapped_channels(source: str, target: str) -> list[NodeProto]:
    """Nodes that turn RGB into BGR."""
    indices = constant("indices", 2, 1, 0, kind=TensorProto.INT64, shape=[3])
    return [indices, helper.make_node("Gather", [source, "indices"], [target], axis=1)]


def limited(source: str, target: str, most: float, kind: int = FLOAT) -> list[NodeProto]:
    """Nodes that clip values to 0 and ``most``."""
    ends = [constant("least", 0.0, kind=kind), constant("most", most, kind=kind)]
    return [*ends, helper.make_node("Clip", [source, "least", "most"], [target])]


def write(
    path: Path,
    nodes: Sequence[NodeProto],
    shape: Sequence[Any] = (None, 3, None, None),
    *,
    kind: int = FLOAT,
    opset: int = 17,
    outputs: int = 1,
) -> Path:
    """Write a network that maps ``in`` to ``out``."""
    entries = [helper.make_tensor_value_info(name, kind, list(shape)) for name in ("in", "out")]
    free = [helper.make_tensor_value_info("out", kind, [None] * 4)] * outputs
    graph = helper.make_graph(list(nodes), "g", entries[:1], free)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
