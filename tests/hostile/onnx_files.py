"""Hostile `.onnx` files by structure: functions, nesting, loops, numbers of things, files elsewhere, broken bytes."""

from collections.abc import Callable

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from tests.hostile.kinds import Recipe, contained, refused, sparse
from tests.hostile.protobuf import number, text

ENDS = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
MODEL_GRAPH, GRAPH_NODE = 7, 1
GiB = 1024**3


def model_of(
    nodes: list[NodeProto],
    constants: list[TensorProto] | None = None,
    functions: list[FunctionProto] | None = None,
    domains: tuple[str, ...] = ("",),
) -> bytes:
    """A model y = f(x) of float32 [1, 4]."""
    graph = helper.make_graph(nodes, "hostile", ENDS[:1], ENDS[1:], constants or [])
    imports = [helper.make_opsetid(domain, 17 if not domain else 1) for domain in domains]
    model: ModelProto = helper.make_model(graph, opset_imports=imports, ir_version=8, functions=functions or [])
    return bytes(model.SerializeToString())


def add(taken: str = "x", given: str = "y") -> NodeProto:
    """The node that makes a graph whole."""
    return helper.make_node("Add", [taken, taken], [given])


def function_chain(length: int) -> bytes:
    """f0 calls f1 twice, which calls f2 twice: 2 ** length nodes, in 6 KB."""
    return _calling(lambda at: [f"f{at + 1}"] * 2, length)


def function_cycle() -> bytes:
    """f0 calls f1, which calls f0."""
    return _calling(lambda at: [f"f{(at + 1) % 2}"], 2)


def _calling(callees: Callable[[int], list[str]], count: int) -> bytes:
    functions = []
    for at in range(count):
        names = callees(at) if at < count - 1 or count == 2 else []
        inner = [helper.make_node(name, ["a"], [f"t{i}"], domain="own") for i, name in enumerate(names)]
        last = helper.make_node("Identity", ["a"], ["b"])
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        functions.append(helper.make_function("own", f"f{at}", ["a"], ["b"], [*inner, last], imports))
    start = helper.make_node("f0", ["x"], ["y"], domain="own")
    return model_of([start], functions=functions, domains=("", "own"))


def loop(trips: int | None, *, computed: bool = False) -> bytes:
    """A loop whose condition stays true: plainly, or as a computation says."""
    turned = [helper.make_node("Not", ["going"], ["no"]), helper.make_node("Not", ["no"], ["on"])]
    condition = turned if computed else [helper.make_node("Identity", ["going"], ["on"])]
    body = helper.make_graph(
        [*condition, add("v", "w")],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 4]),
        ],
    )
    constants = [helper.make_tensor("yes", TensorProto.BOOL, [], [True])]
    if trips is not None:
        constants.append(helper.make_tensor("trips", TensorProto.INT64, [], [trips]))
    count = "" if trips is None else "trips"
    return model_of([helper.make_node("Loop", [count, "yes", "x"], ["y"], body=body)], constants)


def nested(depth: int) -> bytes:
    """Graphs in one another, written from the inside out."""
    content = b""
    for _ in range(depth):
        for field in (6, 5, 1):  # an attribute's graph, a node's attribute, a graph's node
            content = text(field, content)
    return text(MODEL_GRAPH, content)


def nested_types() -> bytes:
    """A sequence of sequences of sequences."""
    content = b""
    for _ in range(500):
        content = text(4, text(1, content))  # TypeProto.sequence_type, its elem_type
    return text(MODEL_GRAPH, text(11, text(1, "x") + text(2, content)))


def many_nodes() -> bytes:
    """Ten million nodes of two bytes."""
    return text(MODEL_GRAPH, text(GRAPH_NODE, b"") * 10_000_000)


def many_fields() -> bytes:
    """Ten million fields that mean nothing."""
    return number(1000, 1) * 10_000_000


def weights_at(location: str, offset: int = 0) -> bytes:
    """Weights that lie in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="offset", value=str(offset))
    tensor.external_data.add(key="length", value="16")
    return model_of([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])


def inner_weights_at(location: str) -> bytes:
    """Weights in another file, in a constant of an inner graph."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    inner: GraphProto = helper.make_graph(
        [helper.make_node("Constant", [], ["y"], value=tensor)], "inner", [], ENDS[1:]
    )
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    return model_of([helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)], [yes])


def compiled() -> bytes:
    """A node that makes an accelerator load a compiled file by its path."""
    node = helper.make_node(
        "EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=0, ep_cache_context="../../etc/passwd"
    )
    return model_of([node], domains=("", "com.microsoft"))


ONNX_FILES: tuple[Recipe, ...] = (
    refused("function_chain.onnx", "2 ** 24 nodes when its functions are inlined", lambda: function_chain(24)),
    refused("long_function_chain.onnx", "the same, 60 calls deep", lambda: function_chain(60)),
    refused("function_cycle.onnx", "functions that call one another without end", function_cycle),
    refused("endless_loop.onnx", "a loop that nothing ends", lambda: loop(None)),
    refused("long_loop.onnx", "a loop of 2 ** 62 steps", lambda: loop(2**62)),
    contained(
        "turning_loop.onnx", "a loop whose condition is computed, and always true", lambda: loop(None, computed=True)
    ),
    refused("deep_graphs.onnx", "3000 graphs in one another", lambda: nested(3000)),
    refused("deep_types.onnx", "500 sequences in one another", nested_types),
    refused("many_nodes.onnx", "ten million nodes", many_nodes),
    refused("many_fields.onnx", "ten million fields that no reader knows", many_fields),
    refused("long_name.onnx", "a name of 8 MB", lambda: model_of([add("x", "t" * 8_000_000), add()])),
    refused("weights_in_passwd.onnx", "weights from /etc/passwd", lambda: weights_at("/etc/passwd")),
    refused("weights_above.onnx", "weights from a folder above", lambda: weights_at("../../../../etc/passwd")),
    refused("weights_inside_if.onnx", "the same in an inner graph", lambda: inner_weights_at("../../etc/passwd")),
    refused("weights_unlisted.onnx", "weights from a file that the bundle does not list", lambda: weights_at("w.bin")),
    refused("weights_in_memory.onnx", "weights from an address", lambda: weights_at("*/_ORT_MEM_ADDR_/*", 4096)),
    refused("compiled.onnx", "an accelerator's compiled file by path", compiled),
    refused(
        "own_operator.onnx",
        "an operator of nobody",
        lambda: model_of([helper.make_node("Run", ["x"], ["y"], domain="evil")], domains=("", "evil")),
    ),
    refused("truncated.onnx", "cut off", lambda: model_of([add()])[:-9]),
    refused("two_graphs.onnx", "two graphs, of which readers choose differently", lambda: model_of([add()]) * 2),
    refused("empty.onnx", "nothing", lambda: b""),
    refused("noise.onnx", "no protobuf", lambda: bytes(range(256)) * 64),
    sparse("enormous.onnx", "12 GiB in one hole", 12 * GiB, text(8, b"")),
)
