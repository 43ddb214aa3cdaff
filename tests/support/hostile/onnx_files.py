"""Hostile ``*.onnx`` files: paths to other files, memory bombs, foreign operations, false metadata."""

import json
import os
import pickle
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper

from tests.support.hostile.checkpoints import Payload

_INFO: dict[str, Any] = {"scale": 1, "halo": 0, "align": 1}
_SAME = [helper.make_node("Identity", ["lr"], ["sr"])]


def onnx_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files."""
    for name, model in (
        *_outside_values(),
        *_memory_bombs(),
        *_foreign_operations(),
        *_false_metadata(),
        *_structures(),
    ):
        yield name, model.SerializeToString()
    for name, model in (
        *_outside_values(),
        *_memory_bombs(),
        *_foreign_operations(),
        *_structures(),
        *_no_enlargements(),
    ):
        del model.metadata_props[:]
        if name == "image of another size":  # than its metadata says: without them it is a network of scale 1
            continue
        yield f"of others: {name}", model.SerializeToString()
    intact = _model(_SAME).SerializeToString()
    yield "cut off", intact[:-20]
    yield "empty", b""
    yield "text", b"hello" * 100
    yield "pickle of that name", pickle.dumps(Payload(os.system, f"touch {marker}"))


def _model(
    nodes: list[NodeProto], values: list[TensorProto] | None = None, metadata: Any = _INFO, domain: str = ""
) -> ModelProto:
    """A model that maps ``lr`` to ``sr``; ``metadata`` is JSON text, a value to encode as JSON, or None."""
    shape = [None, 3, None, None]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("lr", "sr")]
    graph = helper.make_graph(nodes, "g", tensors[:1], tensors[1:], values or [])
    opsets = [helper.make_opsetid("", 20)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    if metadata is not None:
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        model.metadata_props.add(key="sr", value=text)
    return model


def _integers(name: str, *values: int) -> TensorProto:
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def _with_output(nodes: list[NodeProto], last: str) -> list[NodeProto]:
    """Add the largest value of the last node to the image, so that no node can be optimised away."""
    largest = helper.make_node("ReduceMax", [last], ["m"], keepdims=0)
    return [*nodes, largest, helper.make_node("Add", ["lr", "m"], ["sr"])]


def _outside_values() -> Iterator[tuple[str, ModelProto]]:
    """Values that are read from other files."""
    for path in ("../../../../../../etc/passwd", "/etc/passwd", "weights.bin"):
        value = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[16], data_location=TensorProto.EXTERNAL)
        value.external_data.add(key="location", value=path)
        yield f"values from {path}", _model(_with_output([], "w"), [value])
    hidden = helper.make_node("Constant", [], ["w"], value=value)
    yield "values from elsewhere in a constant", _model(_with_output([hidden], "w"))


def _memory_bombs() -> Iterator[tuple[str, ModelProto]]:
    """Operations whose results are far larger than the file."""
    fill = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    constant = helper.make_node("ConstantOfShape", ["s"], ["c"], value=fill)
    for size in (2_000_000_000, 2**40):
        yield f"constant of {size} values", _model(_with_output([constant], "c"), [_integers("s", size)])
    for operation, shape in (("Tile", (1, 1, 1500, 1500)), ("Expand", (10**7, 3, 16, 16))):
        nodes = _with_output([helper.make_node(operation, ["lr", "s"], ["c"])], "c")
        yield f"{operation} to gigabytes", _model(nodes, [_integers("s", *shape)])
    names = ["lr", *(f"c{at}" for at in range(40))]
    doubling = [helper.make_node("Concat", [name, name], [doubled], axis=0) for name, doubled in pairwise(names)]
    yield "an image doubled 40 times", _model(_with_output(doubling, names[-1]))


def _foreign_operations() -> Iterator[tuple[str, ModelProto]]:
    """An endless loop, operations that do not exist, and results that are not the enlarged image."""
    value_types = (("i", TensorProto.INT64), ("go", TensorProto.BOOL))
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [helper.make_tensor_value_info(name, value_type, []) for name, value_type in value_types],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    loop = helper.make_node("Loop", ["n", "t"], [], body=body)
    endless = [_integers("n", 2**62), helper.make_tensor("t", TensorProto.BOOL, [], [True])]
    yield "a loop of 2^62 rounds", _model([loop, *_SAME], endless)
    foreign = [helper.make_node("Run", ["lr"], ["sr"], domain="evil")]
    yield "operation of its own", _model(foreign, domain="evil")
    calling = _model([helper.make_node("F", ["lr"], ["sr"], domain="mine")], domain="mine")
    identity = [helper.make_node("Identity", ["x"], ["y"])]
    calling.functions.append(helper.make_function("mine", "F", ["x"], ["y"], identity, [helper.make_opsetid("", 20)]))
    yield "function of its own", calling
    yield "operation that does not exist", _model([helper.make_node("Nothing", ["lr"], ["sr"])])
    yield "image of another size", _model(_SAME, metadata={**_INFO, "scale": 2})
    not_a_number = helper.make_tensor("n", TensorProto.FLOAT, [1], [float("nan")])
    yield "result not a number", _model(_with_output([], "n"), [not_a_number])


def _false_metadata() -> Iterator[tuple[str, ModelProto]]:
    metadata: Any
    for metadata in (
        *({**_INFO, "scale": 10**6}, {**_INFO, "scale": True}, {**_INFO, "scale": "2"}, {**_INFO, "scale": -1}),
        *({**_INFO, "halo": 10**12}, {**_INFO, "align": 0}, {**_INFO, "align": 10**9}),
        *({**_INFO, "channels": 0}, {**_INFO, "channels": 10**9}, {**_INFO, "channels": "3"}),
        *({"scale": 1}, [], "{", "[" * 10**5),
    ):
        yield f"metadata {str(metadata)[:40]}", _model(_SAME, metadata=metadata)


def _no_enlargements() -> Iterator[tuple[str, ModelProto]]:
    """Networks whose format cannot be found by trying."""
    several = _model([*_SAME, helper.make_node("Identity", ["lr"], ["again"])])
    several.graph.output.add().CopyFrom(
        helper.make_tensor_value_info("again", TensorProto.FLOAT, [None, 3, None, None])
    )
    yield "two outputs", several
    yield "zero", _model([helper.make_node("Sub", ["lr", "lr"], ["sr"])])
    yield "result of one pixel", _model([helper.make_node("GlobalAveragePool", ["lr"], ["sr"])])
    yield "result without colours", _model([helper.make_node("ReduceMean", ["lr"], ["sr"], keepdims=0)])
    enlarging = helper.make_node("Resize", ["lr", "", "s"], ["sr"], mode="nearest")
    for factor in (0.5, 1.5, 1000.0):
        factors = helper.make_tensor("s", TensorProto.FLOAT, [4], [1.0, 1.0, factor, factor])
        yield f"enlarging by {factor}", _model([enlarging], [factors])
    fixed = _model(_SAME)
    for entry in (*fixed.graph.input, *fixed.graph.output):
        for place, side in ((0, 1), (2, 2**40), (3, 2**40)):
            entry.type.tensor_type.shape.dim[place].dim_value = side
    yield "input of 2^80 pixels", fixed


def _structures() -> Iterator[tuple[str, ModelProto]]:
    """Graphs with a false size, deep nesting, or too many operations."""
    lying = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**40], raw_data=bytes(16))
    yield "tensor of a terabyte", _model(_with_output([], "w"), [lying])
    nested = helper.make_graph([], "g", [], [])
    for _ in range(25):
        attribute = AttributeProto(name="g", type=AttributeProto.GRAPH, g=nested)
        nested = helper.make_graph([], "g", [], [])
        nested.node.add(op_type="If").attribute.append(attribute)
    yield "branches in branches", _model([*nested.node, *_SAME])
    identities = [helper.make_node("Identity", ["lr"], [f"n{at}"]) for at in range(20_000)]
    yield "20,000 operations", _model([*identities, *_SAME])
