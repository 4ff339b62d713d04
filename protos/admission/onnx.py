"""Whether an `.onnx` file may be given to an engine. Nothing is run, nothing is copied, every look is counted.

What cannot be seen without computing (a shape that is multiplied together, a condition that is calculated) is not
decided here: the worker's limits contain it.
"""

from collections import ChainMap

from protos.admission.expansion import Body, check_expansion
from protos.admission.limits import LIMITS, Inadmissible, Limits, Malformed, Work
from protos.admission.onnx_graph import FunctionKey, Graphs
from protos.admission.onnx_tensors import Files, Tensors
from protos.admission.wire import Buffer, Message, Value, fields, text_of

GRAPH, TRAINING, FUNCTIONS = 7, 20, 25
TRAINING_GRAPHS = (1, 2)
FUNCTION_NAME, FUNCTION_DOMAIN, FUNCTION_OVERLOAD = 1, 10, 13


def check_onnx(content: Buffer, files: Files, limits: Limits = LIMITS) -> None:
    """Return if the file is within the limits.

    Args:
        content: a serialized ModelProto.
        files: the files beside it that it may read.
        limits: what is taken.

    Raises:
        Malformed: no ONNX model, or cut off.
        Inadmissible: beyond a limit.
    """
    work = Work(limits)
    graphs, functions = _parts(content, work)
    keys = [_key(function, work) for function in functions]
    walk = Graphs(Tensors(files, work), frozenset(keys), work)
    bodies: dict[FunctionKey, Body[FunctionKey]] = {}
    for key, function in zip(keys, functions, strict=True):
        if key in bodies:
            raise Malformed(f"the function {key[1][:80]!r} twice")
        bodies[key] = Body()
        walk.check_function(function, bodies[key])
    main: Body[FunctionKey] = Body()
    for graph in graphs:
        walk.check(graph, main, ChainMap(), 1)
    check_expansion(main, bodies, limits)


def _parts(content: Buffer, work: Work) -> tuple[list[Value], list[Value]]:
    """The graph (and those of a training section), and the functions."""
    graphs: list[Value] = []
    training: list[Value] = []
    functions: list[Value] = []
    kept = {GRAPH: graphs, TRAINING: training, FUNCTIONS: functions}
    for part, (number, value) in enumerate(fields(content, work)):
        if part >= work.limits.parts:
            raise Inadmissible(f"more than {work.limits.parts} parts")
        if number in kept:
            kept[number].append(value)
    if len(functions) > work.limits.functions:
        raise Inadmissible(f"more than {work.limits.functions} functions")
    if len(graphs) != 1:
        raise Malformed("no graph" if not graphs else "more than one graph")
    for section in training:
        message = Message(section, work)
        graphs += [one for field in TRAINING_GRAPHS if (one := message.one(field)) is not None]
    return graphs, functions


def _key(function: Value, work: Work) -> FunctionKey:
    if isinstance(function, int):
        raise Malformed("a number in place of a function")
    found = {FUNCTION_DOMAIN: "", FUNCTION_NAME: "", FUNCTION_OVERLOAD: ""}
    for number, value in fields(function, work):
        if number in found:
            found[number] = text_of(value, work)
    return found[FUNCTION_DOMAIN], found[FUNCTION_NAME], found[FUNCTION_OVERLOAD]
