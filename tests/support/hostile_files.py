"""Checkpoints and exported networks made to harm whoever loads them; what can run writes a marker file."""

import functools
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from sr.nets.espcn import ESPCN

MODEL = {"_target_": "sr.nets.espcn.ESPCN", "scale": 2, "channels": 8}
_GB = 2**30


class _Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, call: Callable[..., Any], *given: Any) -> None:
        self.call, self.given = call, given

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call, self.given


def weights() -> dict[str, torch.Tensor]:
    """Of a small network, as a checkpoint has them."""
    torch.manual_seed(0)
    return {f"net.{name}": value for name, value in ESPCN(scale=2, channels=8).state_dict().items()}


def checkpoint(model: Any = MODEL, state: Any = None, **changes: Any) -> dict[str, Any]:
    """A checkpoint that can be loaded, but for the changes to its config."""
    config = {"model": model, "scale": 2, "protocol": "rgb", "scales": [2], **changes}
    return {"sr": config, "state_dict": weights() if state is None else state}


def saved(content: Any, **options: Any) -> bytes:
    """What torch.save writes."""
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def archive(pickled: bytes, storages: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip as torch writes it, around any pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        made.writestr("a/data.pkl", pickled)
        made.writestr("a/byteorder", "little")
        made.writestr("a/version", "3\n")
        for key, data in (storages or {}).items():
            made.writestr(f"a/data/{key}", data)
    return file.getvalue()


def _repacked(content: bytes, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", compression) as made:
        for name in old.namelist():
            made.writestr(name, change(name, old.read(name)))
    return file.getvalue()


def _state(name: str, value: Any) -> dict[str, Any]:
    return {**weights(), f"net.{name}": value}


def _tensor_pickle(numel: int, size: int, stride: int, offset: int = 0) -> bytes:
    """A dict with a checkpoint's parts, one of whose tensors is described by these numbers."""

    def number(value: int) -> bytes:
        return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(numel) + b"tQ"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + number(offset)
        + number(size)
        + b"\x85"
        + number(stride)
        + b"\x85\x89ccollections\nOrderedDict\n)RtR"
    )
    config = pickle.dumps(checkpoint()["sr"], 2)[2:-1]
    return (
        b"\x80\x02}" + text("sr") + config + b"s" + text("state_dict") + b"}" + text("net.tail.bias") + tensor + b"ss."
    )


def torch_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Files for ``*.ckpt`` by what they try."""
    command = f"touch {marker}"
    good = saved(checkpoint())
    for name, payload in {
        "os.system": _Payload(os.system, command),
        "eval": _Payload(eval, f"__import__('os').system({command!r})"),
        "exec": _Payload(exec, f"import os; os.system({command!r})"),
        "a function of functools": _Payload(functools.partial, os.system, command),
        "torch.load": _Payload(torch.load, str(marker)),
    }.items():
        yield f"pickle calls {name}", saved({**checkpoint(), "more": payload})
    yield "pickle of protocol 5", saved({**checkpoint(), "more": _Payload(os.system, command)}, pickle_protocol=5)
    yield "plain pickle", pickle.dumps(_Payload(os.system, command))
    legacy = saved(_Payload(os.system, command), _use_new_zipfile_serialization=False)
    yield "torch before 1.6, with a payload", legacy
    yield "torch before 1.6", saved(checkpoint(), _use_new_zipfile_serialization=False)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(_Payload(os.system, command))
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    yield "tar of torch 0.1", file.getvalue()

    def long(value: int) -> bytes:
        return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)

    yield "bytearray of a terabyte", archive(b"\x80\x02cbuiltins\nbytearray\n" + long(2**40) + b"\x85R.")
    yield "tensor of a terabyte", archive(b"\x80\x02ctorch\nFloatTensor\n" + long(2**38) + b"\x85R.")
    yield "key of a million tuples", archive(b"\x80\x02}K\x01" + b"\x85" * 10**6 + b"K\x01s.")
    doubled = b"".join(b"q" + bytes([at]) + b"h" + bytes([at]) + b"\x86" for at in range(60))
    yield "key of 2^60 tuples", archive(b"\x80\x02}K\x01" + doubled + b"K\x01s.")
    yield (
        "value of 2^60 tuples as target",
        archive(
            b"\x80\x02}X\x02\0\0\0sr}X\x05\0\0\0model}X\x08\0\0\0_target_K\x01"
            + doubled
            + b"sssX\x0a\0\0\0state_dict}s."
        ),
    )
    collide = b"".join(long(at * (2**61 - 1)) + b"K\0" for at in range(1, 4))
    yield "keys of one hash", archive(b"\x80\x02}(" + collide + b"u.")
    yield "place in a memo of 2^32", archive(b"\x80\x02}r\xff\xff\xff\xff.")
    yield "a list in a list, a million times", archive(b"\x80\x02" + b"]" * 10**6 + b"a" * (10**6 - 1) + b".")
    yield "twenty million values", archive(b"\x80\x02(" + b"]" * 20_000_000 + b"t.")
    yield "text longer than the file", archive(b"\x80\x02X\xff\xff\xff\xffabc.")
    yield "pickle without an end", archive(b"\x80\x02}")
    yield "nothing on the stack", archive(b"\x80\x02R.")
    four = struct.pack("<4f", *range(4))
    yield "storage larger than its part", archive(_tensor_pickle(2**30, 2**30, 1), {"0": four})
    yield "tensor larger than its storage", archive(_tensor_pickle(4, 2**30, 1), {"0": four})
    yield "tensor of one value shown 2^30 times", archive(_tensor_pickle(4, 2**30, 0), {"0": four})
    yield "tensor behind its storage", archive(_tensor_pickle(4, 4, 1, 2**40), {"0": four})
    yield "tensor before its storage", archive(_tensor_pickle(4, 4, 1, -4), {"0": four})
    yield "negative size", archive(_tensor_pickle(4, -4, 1), {"0": four})
    yield "storage that is missing", archive(_tensor_pickle(4, 4, 1))

    yield "compressed", _repacked(good, lambda _, data: data, zipfile.ZIP_DEFLATED)
    big = {"0": bytes(_GB)}
    yield "zip bomb", archive(_tensor_pickle(_GB // 4, _GB // 4, 1), big, zipfile.ZIP_DEFLATED)
    at = good.rindex(b"PK\x01\x02")
    yield "part that claims 3 GB", good[: at + 20] + struct.pack("<II", 3 * _GB, 3 * _GB) + good[at + 28 :]
    central = [at for at in range(len(good)) if good.startswith(b"PK\x01\x02", at)]
    yield (
        "two parts of one name",
        archive(pickle.dumps({}, 2), {"0": bytes(9), "1": bytes(9)}).replace(b"data/1", b"data/0"),
    )
    overlapping = bytearray(good)
    for place in central:
        overlapping[place + 42 : place + 46] = struct.pack("<I", 0)
    yield "parts that overlap", bytes(overlapping)
    yield "the other byte order", _repacked(good, lambda name, data: b"big" if name.endswith("byteorder") else data)
    flipped = bytearray(good)
    flipped[good.index(weights()["net.body.0.weight"].numpy().tobytes()) + 5] ^= 4
    yield "flipped bit in the weights", bytes(flipped)
    yield "cut off", good[: len(good) // 2]
    yield "last byte missing", good[:-1]
    yield "empty", b""
    yield "text", b"hello\n" * 50
    yield "random bytes", bytes((at * 7919) % 251 for at in range(5000))
    yield "png", b"\x89PNG\r\n\x1a\n" + bytes(500)
    yield "zip of something else", archive(b"")

    for target in (
        *("os.system", "subprocess.Popen", "builtins.exec", "sr.train.main", "sr.nets", "sr.nets.", "sr.nets.espcn"),
        *(
            "sr.nets.espcn.torch.hub.load",
            "sr.nets.espcn.nn.Conv2d",
            "sr.nets.espcn.resize",
            "sr.nets.espcn.OutputConv",
        ),
        *("sr.nets.layers.OutputConv", "sr.nets.edsr._Block", "sr.nets...os.system", "sr.nets.espcn.ESPCN.__init__"),
        *("sr.nets.none.None", "sr.nets.espcn.\x1b[2JESPCN", "sr.nets." + "a" * 10**6, "", None, 7, ["os.system"]),
    ):
        shown = repr(target)
        named = {"_target_": target, "command": command}
        yield f"target {shown if len(shown) < 60 else shown[:20]}", saved(checkpoint(named))
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    for option, value in (
        *(("channels", 10**9), ("channels", 10**30), ("channels", -1), ("channels", 0), ("channels", 2.5)),
        *(("channels", True), ("channels", "8"), ("channels", None), ("channels", [8]), ("channels", {"a": 1})),
        *(("num_blocks", 10**7), ("num_blocks", 4096), ("scale", 10**6), ("scale", -1), ("scale", 0)),
        *(("scale", True), ("scale", 2.0), ("scale", "2"), ("scale", {"_target_": "os.system", "command": command})),
        *(("activation", {"_target_": "os.system", "command": command}), ("activation", "x" * 10**7)),
        *(("activation", "__import__('os')"), ("head", deep), ("head", float("nan")), ("self", 1), ("__class__", 1)),
        *((7, 7), ("a\x1b[2J\nb", 1)),
    ):
        shown = repr(value)
        yield f"{option!r} = {shown[:40]}", saved(checkpoint({**MODEL, option: value}))
    model: Any
    scales: Any
    for name, model in (
        ("VDSR of 1,024 blocks", {"_target_": "sr.nets.vdsr.VDSR", "scale": 2, "num_blocks": 1024}),
        ("EDSR of 1,024 blocks", {"_target_": "sr.nets.edsr.EDSR", "num_blocks": 1024, "channels": 1024, "scale": 2}),
        ("autoencoder without a number", {"_target_": "sr.nets.autoencoder.Autoencoder", "dropout": float("nan")}),
        ("model that is a list", [MODEL]),
        ("no model", None),
    ):
        yield name, saved(checkpoint(model))
    for scales in (10**9, "2", [2, True], [2, 10**6], [{}], list(range(1, 10**5))):
        yield f"scales {repr(scales)[:20]}", saved(checkpoint(scales=scales))
    yield "protocol that is a list", saved(checkpoint(protocol=deep))
    yield "config that is a tensor", saved({"sr": torch.zeros(3), "state_dict": weights()})

    bias = torch.zeros(12)
    layers = 1000
    shared = {
        f"net.body.{2 * at}.{part}": (torch.ones(64) if part == "bias" else None)
        for at in range(layers + 1)
        for part in ("weight", "bias")
    }
    kernel = torch.ones(64, 64, 3, 3)
    for at in range(layers + 1):
        shared[f"net.body.{2 * at}.weight"] = torch.ones(64, 3, 3, 3) if at == 0 else kernel
    shared |= {"net.tail.weight": torch.ones(3, 64, 3, 3), "net.tail.bias": torch.ones(3)}
    vdsr = {"_target_": "sr.nets.vdsr.VDSR", "scale": 2, "num_blocks": layers}
    yield "one kernel shown as 1,000", saved(checkpoint(vdsr, shared))
    for name, state in {
        "weights of another shape": _state("tail.bias", torch.zeros(13)),
        "weights without values": _state("tail.bias", torch.zeros(0)),
        "weights missing": {name: value for name, value in weights().items() if name != "net.tail.bias"},
        "weights too many": _state("tail.more", bias),
        "weights of no name": _state("", bias),
        "weights that are a list": list(weights().values()),
        "weights that are numbers": _state("tail.bias", [0.0] * 12),
        "weights not a number": _state("tail.bias", bias / 0),
        "weights infinite": _state("tail.bias", bias + float("inf")),
        "weights complex": _state("tail.bias", bias.to(torch.complex64)),
        "weights integer": _state("tail.bias", bias.long()),
        "weights boolean": _state("tail.bias", bias.bool()),
        "weights of 8 bits": _state("tail.bias", bias.to(torch.float8_e4m3fn)),
        "weights sparse": _state("tail.bias", bias.to_sparse()),
        "weights quantised": _state("tail.bias", torch.quantize_per_tensor(bias, 0.1, 0, torch.qint8)),
        "weights meta": _state("tail.bias", bias.to("meta")),
        "weights nested": _state("tail.bias", torch.nested.nested_tensor([bias])),
        "weights expanded": _state("tail.bias", torch.zeros(1).expand(12)),
        "weights of a gigabyte expanded": _state("tail.bias", torch.zeros(1).expand(2**28)),
        "weights in a larger storage": _state("tail.bias", torch.zeros(10**6)[:12]),
        "weights as a parameter": _state("tail.bias", torch.nn.Parameter(bias)),
        "weights of numpy": _state("tail.bias", bias.numpy()),
    }.items():
        yield name, saved(checkpoint(state=state))
    yield "weights alone", saved(weights())
    yield "a whole network", saved(ESPCN(scale=2, channels=8))


def safetensors_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Files for ``*.safetensors`` by what they try."""
    config = checkpoint()["sr"]

    def with_header(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return (len(text) if length is None else length).to_bytes(8, "little") + text + data

    def of(config: Any, state: dict[str, torch.Tensor] | None = None) -> bytes:
        text = config if isinstance(config, str) else json.dumps(config)
        return safetensors.torch.save(weights() if state is None else state, {"sr": text})

    one = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    good = of(config)
    yield "header of 2^60 bytes", with_header({}, length=2**60)
    yield "header of 90 MB", with_header(b"{" + b" " * 90_000_000 + b"}")
    yield "header cut off", good[:50]
    yield "tensors cut off", good[:-10]
    yield "bytes too many", good + b"more"
    yield "empty", b""
    yield "text", b"hello" * 100
    yield "torch file of that name", saved(checkpoint())
    yield "pickle of that name", pickle.dumps(_Payload(os.system, f"touch {marker}"))
    yield (
        "tensor of a terabyte",
        with_header({"net.x": {**one, "shape": [2**38], "data_offsets": [0, 2**40]}}, bytes(16)),
    )
    yield "tensor whose size overflows", with_header({"net.x": {**one, "shape": [2**32, 2**32, 4]}}, bytes(16))
    yield "tensors that overlap", with_header({"net.x": one, "net.y": one}, bytes(16))
    yield "tensor with a hole before it", with_header({"net.x": {**one, "data_offsets": [4, 20]}}, bytes(20))
    yield "negative offsets", with_header({"net.x": {**one, "data_offsets": [-16, 0]}}, bytes(16))
    yield "unknown type", with_header({"net.x": {**one, "dtype": "OBJECT"}}, bytes(16))
    yield "config that is no JSON", of("{")
    yield "config nested without end", of("[" * 10**5)
    yield "config with a number of a million digits", of('{"model": ' + "9" * 10**5 + "}")
    yield "target os.system", of({**config, "model": {"_target_": "os.system", "command": f"touch {marker}"}})
    yield "channels = Infinity", of({**config, "model": {**MODEL, "channels": float("inf")}})
    yield "channels = 10^9", of({**config, "model": {**MODEL, "channels": 10**9}})
    yield "no config", safetensors.torch.save(weights())
    yield "weights not a number", of(config, _state("tail.bias", torch.zeros(12) / 0))
    yield "weights of 8 bits", of(config, _state("tail.bias", torch.zeros(12).to(torch.float8_e4m3fn)))
    yield "weights integer", of(config, _state("tail.bias", torch.zeros(12, dtype=torch.int64)))


def onnx_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Files for ``*.onnx`` by what they try."""
    from onnx import AttributeProto, ModelProto, TensorProto, helper

    info: dict[str, Any] = {"scale": 1, "halo": 0, "align": 1}

    def model(nodes: list[Any], values: list[Any] | None = None, about: Any = info, domain: str = "") -> ModelProto:
        shape = [None, 3, None, None]
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("lr", "sr")]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], values or [])
        opsets = [helper.make_opsetid("", 20)] + ([helper.make_opsetid(domain, 1)] if domain else [])
        made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        if about is not None:
            made.metadata_props.add(key="sr", value=about if isinstance(about, str) else json.dumps(about))
        return made

    def numbers(name: str, *values: int) -> Any:
        return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)

    def then_added(nodes: list[Any], last: str) -> list[Any]:
        """The nodes, and the largest of their values added to the image, so that none can be left out."""
        ends = [helper.make_node("ReduceMax", [last], ["m"], keepdims=0), helper.make_node("Add", ["lr", "m"], ["sr"])]
        return [*nodes, *ends]

    same = [helper.make_node("Identity", ["lr"], ["sr"])]
    for place in ("../../../../../../etc/passwd", "/etc/passwd", "weights.bin"):
        value = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[16], data_location=TensorProto.EXTERNAL)
        value.external_data.add(key="location", value=place)
        yield f"values from {place}", model(then_added([], "w"), [value]).SerializeToString()
    hidden = helper.make_node("Constant", [], ["w"], value=value)
    yield "values from elsewhere in a constant", model(then_added([hidden], "w")).SerializeToString()
    fill = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    constant = helper.make_node("ConstantOfShape", ["s"], ["c"], value=fill)
    for size in (2_000_000_000, 2**40):
        nodes = then_added([constant], "c")
        yield f"constant of {size} values", model(nodes, [numbers("s", size)]).SerializeToString()
    for kind, shape in (("Tile", (1, 1, 1500, 1500)), ("Expand", (10**7, 3, 16, 16))):
        nodes = then_added([helper.make_node(kind, ["lr", "s"], ["c"])], "c")
        yield f"{kind} to gigabytes", model(nodes, [numbers("s", *shape)]).SerializeToString()
    names = ["lr", *(f"c{at}" for at in range(40))]
    doubling = [helper.make_node("Concat", [a, a], [b], axis=0) for a, b in pairwise(names)]
    yield "an image doubled 40 times", model(then_added(doubling, names[-1])).SerializeToString()
    inner = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info(name, kind, [])
            for name, kind in (("i", TensorProto.INT64), ("go", TensorProto.BOOL))
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    loop = helper.make_node("Loop", ["n", "t"], [], body=inner)
    endless = [numbers("n", 2**62), helper.make_tensor("t", TensorProto.BOOL, [], [True])]
    yield "a loop of 2^62 rounds", model([loop, *same], endless).SerializeToString()
    foreign = [helper.make_node("Run", ["lr"], ["sr"], domain="evil")]
    yield "operation of its own", model(foreign, domain="evil").SerializeToString()
    function = model([helper.make_node("F", ["lr"], ["sr"], domain="mine")], domain="mine")
    function.functions.append(
        helper.make_function(
            "mine", "F", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], [helper.make_opsetid("", 20)]
        )
    )
    yield "function of its own", function.SerializeToString()
    yield "operation that does not exist", model([helper.make_node("Nothing", ["lr"], ["sr"])]).SerializeToString()
    yield "image of another size", model(same, about={**info, "scale": 2}).SerializeToString()
    yield (
        "result not a number",
        model(
            then_added([], "n"), [helper.make_tensor("n", TensorProto.FLOAT, [1], [float("nan")])]
        ).SerializeToString(),
    )
    about: Any
    for about in (
        *({**info, "scale": 10**6}, {**info, "scale": True}, {**info, "scale": "2"}, {**info, "scale": -1}),
        *({**info, "halo": 10**12}, {**info, "align": 0}, {**info, "align": 10**9}, {"scale": 1}, [], "{", "[" * 10**5),
    ):
        yield f"metadata {str(about)[:40]}", model(same, about=about).SerializeToString()
    yield "no metadata", model(same, about=None).SerializeToString()
    lying = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**40], raw_data=bytes(16))
    yield "tensor of a terabyte", model(then_added([], "w"), [lying]).SerializeToString()
    nested = helper.make_graph([], "g", [], [])
    for _ in range(25):
        attribute = AttributeProto(name="g", type=AttributeProto.GRAPH, g=nested)
        nested = helper.make_graph([], "g", [], [])
        nested.node.add(op_type="If").attribute.append(attribute)
    yield "branches in branches", model([*nested.node, *same]).SerializeToString()
    many = [helper.make_node("Identity", ["lr"], [f"n{at}"]) for at in range(20_000)]
    yield "20,000 operations", model([*many, *same]).SerializeToString()
    good = model(same).SerializeToString()
    yield "cut off", good[:-20]
    yield "empty", b""
    yield "text", b"hello" * 100
    yield "pickle of that name", pickle.dumps(_Payload(os.system, f"touch {marker}"))


MAKERS = {".ckpt": torch_files, ".safetensors": safetensors_files, ".onnx": onnx_files}


def hostile_files(suffix: str, folder: Path, marker: Path) -> Iterator[tuple[str, Path]]:
    """Make one file of a kind after another, and say what each tries; some are no regular files."""
    path = folder / f"file{suffix}"
    for name, content in MAKERS[suffix](marker):
        path.write_bytes(content)
        yield f"{suffix}: {name}", path
        path.unlink()
    yield f"{suffix}: missing", path
    path.mkdir()
    yield f"{suffix}: folder", path
    path.rmdir()
    os.mkfifo(path)
    yield f"{suffix}: pipe that nobody writes to", path
    path.unlink()
    for target, name in ((path, "link to itself"), (Path("/dev/zero"), "device without an end")):
        path.symlink_to(target)
        yield f"{suffix}: {name}", path
        path.unlink()
