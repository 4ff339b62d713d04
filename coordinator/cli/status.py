"""`edgectl status`: the coordinator at a glance."""

from coordinator.cli.client import address, call, connect
from coordinator.cli.documents import status_document
from coordinator.cli.options import AsJson
from coordinator.cli.output import print_fields, print_json
from protos.fleet.v1.system_pb2 import GetStatusRequest
from protos.fleet.v1.system_pb2_grpc import SystemServiceStub


def status(as_json: AsJson = False) -> None:
    """The coordinator at a glance."""
    with connect() as channel:
        stub = SystemServiceStub(channel)  # type: ignore[no-untyped-call]
        document = status_document(call(stub.GetStatus, GetStatusRequest()))
    if as_json:
        print_json(document)
        return
    print_fields(
        (
            ("coordinator", f"{address.get()}, version {document['version']}, since {document['started_at']}"),
            (
                "broker",
                f"{document['broker_url']} ({document['broker_kind']}), topics below {document['topic_prefix']}",
            ),
            ("connected", "yes" if document["broker_connected"] else f"no: {document['broker_state']}"),
            ("nodes", f"{document['nodes_online']} of {document['nodes']} online"),
            ("deployments", document["deployments"]),
            ("results", document["results"]),
            ("live", f"{document['live_relayed']} relayed, {document['live_dropped']} dropped"),
            ("epoch", document["epoch"]),
        )
    )
