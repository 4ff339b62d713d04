"""The gRPC servers: the API, which knows its callers by their certificates, and enrollment, which strangers reach."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from coordinator import __version__
from coordinator.api.audit_service import AuditService
from coordinator.api.audited import AuditedCalls, stranger
from coordinator.api.deployment_service import DeploymentService as DeploymentApi
from coordinator.api.facts import BrokerLink, CoordinatorFacts
from coordinator.api.guard import Guard, actor
from coordinator.api.node_service import NodeService as NodeApi
from coordinator.api.result_service import ResultService
from coordinator.api.rollout_service import RolloutService as RolloutApi
from coordinator.api.server import ApiServer, Listener, Service
from coordinator.api.system_service import SystemService
from coordinator.audit.log import AuditLog
from coordinator.config import CoordinatorConfig
from coordinator.db.control import ControlStore
from coordinator.db.results_database import ResultsDatabase
from coordinator.fleet.census import roots_held, take_census
from coordinator.fleet.commands import Commands
from coordinator.fleet.deployments import DeploymentService
from coordinator.fleet.nodes import NodeService
from coordinator.link.addresses import machine_addresses, machine_name
from coordinator.link.discovery import Announced, Announcement, announced_addresses
from coordinator.parts.identities import Identities
from coordinator.parts.publishing import Publishing
from coordinator.parts.running import Running
from coordinator.results.tail import TailHub
from coordinator.rollouts.applying import DeploymentChanges
from coordinator.rollouts.service import RolloutService as Rollouts
from protos.envelope import key_id
from protos.fleet.v1 import (
    access_pb2_grpc,
    audit_pb2_grpc,
    deployment_pb2_grpc,
    enrollment_pb2_grpc,
    node_pb2_grpc,
    result_pb2_grpc,
    rollout_pb2_grpc,
    system_pb2_grpc,
)
from protos.identity import NodeId
from protos.topics import Topics


@dataclass(frozen=True)
class Served:
    """What the services are made of; `on_changed` is called, on any thread, with nodes whose desired state changed."""

    store: ControlStore
    results: ResultsDatabase
    hub: TailHub
    topics: Topics
    identities: Identities
    publishing: Publishing
    commands: Commands
    facts: CoordinatorFacts
    link: Callable[[], BrokerLink]
    now: Callable[[], datetime]
    on_changed: Callable[[Collection[NodeId]], None]


class Serving:
    """`address` and `enrollment_address`, host:port, are known after `start`."""

    def __init__(self, config: CoordinatorConfig, served: Served) -> None:
        self.address = self.enrollment_address = ""
        self._config = config
        self._served = served
        self._audit = AuditLog(served.store, served.now)

    async def start(self, running: Running) -> None:
        """Start both servers, and announce them where the configuration says so."""
        await self._start_api(running)
        await self._start_enrollment(running)
        running.at_stop(self._served.hub.close)  # first of all: whoever watches results would hold the API up
        if self._config.announce:
            announcement = Announcement(self._announced())
            await running.run(announcement.start, announcement.stop)

    async def _start_api(self, running: Running) -> None:
        listener = Listener(self._config.host, self._config.port, "--port", with_certificates=True)
        identities = self._served.identities
        interceptors = (AuditedCalls(self._audit, actor, self._served.now), Guard(identities.revocations.is_revoked))
        server = ApiServer(services(self._served, self._audit), listener, identities.shown, interceptors)
        await running.run(server.start, server.stop)
        self.address = server.address

    async def _start_enrollment(self, running: Running) -> None:
        served, identities = self._served, self._served.identities
        service = identities.enrollment_service(
            served.topics,
            self.address,
            served.facts.broker_url,
            served.facts.trusted_keys,
            served.publishing.trust_roots,
            served.on_changed,
        )
        listener = Listener(self._config.host, self._config.enroll_port, "--enroll-port", with_certificates=False)
        add_to_server = enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server
        strangers = AuditedCalls(self._audit, stranger, served.now)
        server = ApiServer([(add_to_server, service)], listener, identities.shown, (strangers,))
        await running.run(server.start, server.stop)
        self.enrollment_address = server.address
        identities.enrollment_port = _port(server.address)

    def _announced(self) -> Announced:
        addresses = announced_addresses(self._config.host, machine_addresses())
        ports = _port(self.address), _port(self.enrollment_address)
        return Announced(machine_name(), addresses, *ports, __version__, key_id(self._served.facts.trusted_keys[0]))


def services(served: Served, audit: AuditLog) -> list[Service]:
    """All services of the API."""
    store, facts, publishing = served.store, served.facts, served.publishing
    nodes = NodeService(store, served.topics, served.now, served.on_changed)
    parts = (store, served.topics, served.now, served.on_changed, publishing.manifest_of)
    deployments, rollouts = DeploymentService(*parts), Rollouts(*parts, served.results.labels.truths)
    changes = DeploymentChanges(deployments, rollouts, store, served.topics, served.now)
    revoke = served.identities.revocations.add
    node_api = NodeApi(nodes, facts, served.now, revoke, publishing.trust_roots, served.commands)
    results = ResultService(served.results.query, served.results.labels, served.hub, served.now)
    system = SystemService(facts, served.link, lambda: take_census(store), served.results.query)
    return [
        (deployment_pb2_grpc.add_DeploymentServiceServicer_to_server, DeploymentApi(deployments, changes)),
        (rollout_pb2_grpc.add_RolloutServiceServicer_to_server, RolloutApi(rollouts)),
        (node_pb2_grpc.add_NodeServiceServicer_to_server, node_api),
        (access_pb2_grpc.add_AccessServiceServicer_to_server, served.identities.access_service()),
        (audit_pb2_grpc.add_AuditServiceServicer_to_server, AuditService(audit)),
        *publishing.services(lambda: roots_held(store)),
        (result_pb2_grpc.add_ResultServiceServicer_to_server, results),
        (system_pb2_grpc.add_SystemServiceServicer_to_server, system),
    ]


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
