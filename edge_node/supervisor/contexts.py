"""What is true of every result of a session in a pipeline: names as they are today, engine and version as loaded."""

from collections.abc import Callable, Mapping
from typing import Literal

from edge_node.outbox.events import PipelineContext
from edge_node.supervisor.device import Loaded
from protos.deployment import Pipeline
from protos.desired import Desired


def pipeline_settings(desired: Desired | None, pipeline: str) -> Pipeline | None:
    """What the deployment of a pipeline wants of it."""
    wanted = () if desired is None else desired.deployments
    return next((one for target in wanted for one in target.pipelines if one.name == pipeline), None)


class Contexts:
    """Contexts by pipeline and session, made once; `forget` them when a name changes.

    `topic` gives a pipeline's live topic, None while there is no contact to a coordinator.
    """

    def __init__(
        self,
        loaded: Mapping[str, Loaded],
        desired: Callable[[], Desired | None],
        topic: Callable[[str], str | None],
        clock_synced: Callable[[], bool | None],
    ) -> None:
        self._loaded = loaded
        self._desired = desired
        self._topic = topic
        self._clock_synced = clock_synced
        self._known: dict[tuple[str, str], PipelineContext] = {}
        self._clock: Literal["synced", "unsynced"] = "synced"

    def of(self, pipeline: str, session: str) -> PipelineContext | None:
        """The context, None where the node does not know the session or its own name."""
        known = self._known.get((pipeline, session))
        if known is None and (made := self._make(pipeline, session)) is not None:
            known = self._known[(pipeline, session)] = made
        return known

    def look_at_clock(self) -> None:
        """Whether results say from now on that the clock is synchronized; a kernel that does not tell is believed."""
        clock: Literal["synced", "unsynced"] = "unsynced" if self._clock_synced() is False else "synced"
        if clock != self._clock:
            self._clock = clock
            self.forget()

    def forget(self) -> None:
        """Make them anew: a name has changed."""
        self._known.clear()

    def _make(self, pipeline: str, key: str) -> PipelineContext | None:
        loaded, desired, topic = self._loaded.get(key), self._desired(), self._topic(pipeline)
        if loaded is None or desired is None or topic is None:
            return None
        settings = pipeline_settings(desired, pipeline)
        return PipelineContext(
            node=desired.node,
            site=desired.site,
            name=desired.name,
            model=loaded.session.model,
            version=loaded.session.version,
            digest=loaded.session.digest,
            engine=loaded.engine,
            accelerator=loaded.accelerator,
            topic=topic,
            clock=self._clock,
            priority=0 if settings is None else settings.priority,
        )
