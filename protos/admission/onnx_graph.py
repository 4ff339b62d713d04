"""The graphs of an `.onnx` file, with the graphs inside them: nodes, constants, declared shapes, loops.

Field numbers: GraphProto, FunctionProto, NodeProto and AttributeProto of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections import ChainMap
from collections.abc import Collection
from dataclasses import dataclass, field

from protos.admission.expansion import Body
from protos.admission.limits import Inadmissible, Malformed, Work
from protos.admission.onnx_operators import SIZING_ATTRIBUTES, STANDARD, check_growth, check_operator, check_sizes
from protos.admission.onnx_tensors import FEW, TYPE_OF_VALUE, Numbers, Tensors
from protos.admission.wire import Buffer, Message, Value, fields, integers

NODE, INITIALIZER, INPUT, OUTPUT, VALUE_INFO, SPARSE_INITIALIZER = 1, 5, 11, 12, 13, 15
FUNCTION_NODE, FUNCTION_ATTRIBUTE, FUNCTION_VALUE_INFO = 7, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN, NODE_OVERLOAD = 1, 2, 4, 5, 7, 8
ATTRIBUTE_NAME, FLOAT, INT, TENSOR, GRAPH, FLOATS, INTS, TENSORS, GRAPHS = 1, 2, 3, 5, 6, 7, 8, 10, 11
TYPE, TYPES, SPARSE_TENSOR, SPARSE_TENSORS = 14, 15, 22, 23
ENDLESS = float("inf")

FunctionKey = tuple[str, str, str]
"""Domain, name, overload."""
Scope = ChainMap[str, Numbers | None]
"""The constants that a graph sees: None where they are not read."""


@dataclass
class Graph:
    """What a graph says about itself, for whoever runs it."""

    ends: dict[int, list[str]] = field(default_factory=lambda: {INPUT: [], OUTPUT: []})
    """the names of its first inputs and outputs"""
    copies: dict[str, str] = field(default_factory=dict)
    """which value is another one, unchanged"""
    scope: Scope = field(default_factory=ChainMap)
    steps: float = 1.0
    """of the loops inside that only their count ends"""


@dataclass
class Node:
    """A node; `arguments` are the values of its first inputs."""

    operator: str
    standard: bool
    inputs: list[str]
    outputs: list[str]
    arguments: list[Numbers | None]
    constant: Numbers | None = None
    bodies: list[Graph] = field(default_factory=list)


class Graphs:
    """Checks graphs against the limits; `functions` are those that the model defines."""

    def __init__(self, tensors: Tensors, functions: Collection[FunctionKey], work: Work) -> None:
        self._tensors = tensors
        self._functions = functions
        self._work = work
        self._limits = work.limits

    def check(self, content: Value, body: Body[FunctionKey], outer: Scope, depth: int) -> Graph:
        """Add a graph to a body.

        Raises:
            Malformed, Inadmissible: it is no graph, or beyond a limit.
        """
        if depth > self._limits.graph_depth:
            raise Inadmissible(f"graphs nested deeper than {self._limits.graph_depth}")
        view = _message(content)
        graph = Graph(scope=outer.new_child())
        self._count(view, NODE, body)
        for number, value in fields(view, self._work):
            if number == INITIALIZER:
                self._constant(graph, value)
            elif number == SPARSE_INITIALIZER:
                self._tensors.check_sparse(value)
            elif number in (INPUT, OUTPUT, VALUE_INFO):
                self._declared(graph, number, value)
        for number, value in fields(view, self._work):
            if number == NODE:
                self._node(graph, value, body, depth)
        return graph

    def check_function(self, content: Value, body: Body[FunctionKey]) -> None:
        """Add a function to its body.

        Raises:
            Malformed, Inadmissible: it is no function, or beyond a limit.
        """
        view, graph = _message(content), Graph()
        self._count(view, FUNCTION_NODE, body)
        for number, value in fields(view, self._work):
            if number == FUNCTION_NODE:
                self._node(graph, value, body, 0)
            elif number == FUNCTION_VALUE_INFO:
                self._declared(graph, VALUE_INFO, value)
            elif number == FUNCTION_ATTRIBUTE:
                self._attribute(graph, Node("", False, [], [], []), value, body, 0)

    def _count(self, content: Buffer, kind: int, body: Body[FunctionKey]) -> None:
        """Count the nodes before any is looked into."""
        for number, _ in fields(content, self._work):
            if number == kind:
                body.nodes += 1
                if body.nodes > self._limits.nodes:
                    raise Inadmissible(f"more than {self._limits.nodes} nodes")

    def _constant(self, graph: Graph, value: Value) -> None:
        name, numbers = self._tensors.check(value)
        graph.scope[name] = numbers

    def _declared(self, graph: Graph, number: int, value: Value) -> None:
        """A value with its type; the first ends are remembered by name."""
        message = Message(value, self._work)
        names = graph.ends.get(number, [])
        if len(names) < 2:
            names.append(message.text(ATTRIBUTE_NAME))
        content = message.one(TYPE_OF_VALUE)
        if content is not None:
            self._tensors.check_type(content)

    def _node(self, graph: Graph, value: Value, body: Body[FunctionKey], depth: int) -> None:
        message = Message(value, self._work)
        domain, operator = message.text(NODE_DOMAIN), message.text(NODE_OPERATOR)
        key = (domain, operator, message.text(NODE_OVERLOAD))
        own = key in self._functions
        check_operator(operator, domain, own=own)
        if own:
            body.call(key)
        inputs, outputs = message.texts(NODE_INPUT), message.texts(NODE_OUTPUT)
        arguments = [graph.scope.get(name) for name in inputs[:8]]
        node = Node(operator, domain in STANDARD, inputs, outputs, arguments)
        for attribute in message.all(NODE_ATTRIBUTE):
            self._attribute(graph, node, attribute, body, depth)
        self._conclude(graph, node)

    def _attribute(self, graph: Graph, node: Node, value: Value, body: Body[FunctionKey], depth: int) -> None:
        """An attribute, and whatever it holds."""
        message = Message(value, self._work)
        for kind in (TENSOR, TENSORS):
            for tensor in _held(message, kind, TENSOR):
                _, node.constant = self._tensors.check(tensor)
        for kind in (SPARSE_TENSOR, SPARSE_TENSORS):
            for tensor in _held(message, kind, SPARSE_TENSOR):
                self._tensors.check_sparse(tensor)
        for kind in (TYPE, TYPES):
            for declared in _held(message, kind, TYPE):
                self._tensors.check_type(declared)
        for kind in (GRAPH, GRAPHS):
            for inner in _held(message, kind, GRAPH):
                node.bodies.append(self.check(inner, body, graph.scope, depth + 1))
        self._numbers(node, message)

    def _numbers(self, node: Node, message: Message) -> None:
        """The numbers of an attribute: a constant, or what says how large an output is."""
        ints = [number for value in message.first(INTS) if _few(value) for number in integers(value)]
        name = message.text(ATTRIBUTE_NAME)
        if name in SIZING_ATTRIBUTES:
            check_sizes(name, ints, node.operator, self._limits)
        if node.operator == "Constant" and name in ("value_int", "value_ints"):
            node.constant = tuple(ints) if name == "value_ints" else (message.integer(INT),)

    def _conclude(self, graph: Graph, node: Node) -> None:
        """What a node means for the graph, once all of it has been read."""
        if not node.standard or not node.outputs:
            return
        check_growth(node.operator, node.arguments, self._limits)
        if node.operator == "Constant":
            graph.scope[node.outputs[0]] = node.constant
        elif node.operator == "Identity" and node.inputs:
            graph.copies[node.outputs[0]] = node.inputs[0]
        inner = max((body.steps for body in node.bodies), default=1.0)
        if node.operator == "Loop" and node.bodies:
            inner *= _steps(node)
        if inner > self._limits.loop_steps:
            raise Inadmissible(f"a loop of more than {self._limits.loop_steps} steps that nothing ends")
        graph.steps = max(graph.steps, inner)


def _steps(node: Node) -> float:
    """How often a loop runs if only its count ends it; 1 where a computed condition or count may."""
    if not _goes_on(node.bodies[0]):
        return 1.0
    if not node.inputs or not node.inputs[0]:
        return ENDLESS
    count = node.arguments[0]
    return max(1.0, count[0]) if count else 1.0


def _goes_on(body: Graph) -> bool:
    """Whether the condition that a loop's body gives is the one it was given, or a constant."""
    taken, given = body.ends[INPUT], body.ends[OUTPUT]
    name = given[0] if given else ""
    for _ in range(FEW):
        if name in body.scope or (len(taken) > 1 and name == taken[1]):
            return True
        if name not in body.copies:
            return False
        name = body.copies[name]
    return False


def _held(message: Message, kind: int, single: int) -> list[Value]:
    """The values of a field that stands once, or many times."""
    if kind != single:
        return message.all(kind)
    one = message.one(kind)
    return [] if one is None else [one]


def _few(value: Value) -> bool:
    return isinstance(value, int) or len(value) <= 10 * FEW


def _message(content: Value) -> Buffer:
    if isinstance(content, int):
        raise Malformed("a number in place of a graph")
    return content
