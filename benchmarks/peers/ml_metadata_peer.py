"""ml-metadata, on SQLite: a small run in the calls a pipeline makes, and who used a hub."""

from __future__ import annotations

import sys
from pathlib import Path

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb
from peer import figures, median, report, timed


def _store(home: Path) -> metadata_store.MetadataStore:
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(home / "mlmd.db")
    config.sqlite.connection_mode = 3
    return metadata_store.MetadataStore(config)


def _event(kind: int, artifact: int, execution: int) -> pb.Event:
    return pb.Event(type=kind, artifact_id=artifact, execution_id=execution)


def small_run(count: int, home: Path) -> dict[str, float]:
    """Start, two inputs, one output, finish; no bytes."""
    store = _store(home)
    data = store.put_artifact_type(pb.ArtifactType(name="dataset"))
    kind = pb.ExecutionType(name="small", properties={f"key{key}": pb.DOUBLE for key in range(10)})
    runs = store.put_execution_type(kind)
    inputs = store.put_artifacts([pb.Artifact(type_id=data, uri=name) for name in "ab"])

    def one(number: int) -> None:
        execution = pb.Execution(type_id=runs, last_known_state=pb.Execution.RUNNING)
        for key in range(10):
            execution.properties[f"key{key}"].double_value = key * 0.1
        (run,) = store.put_executions([execution])
        store.put_events([_event(pb.Event.INPUT, one, run) for one in inputs])
        (output,) = store.put_artifacts([pb.Artifact(type_id=data, uri=f"out{number}")])
        store.put_events([_event(pb.Event.OUTPUT, output, run)])
        execution.id, execution.last_known_state = run, pb.Execution.COMPLETE
        store.put_executions([execution])

    return {"small run": median(timed(one, number) for number in range(count))}


def chain(count: int, home: Path) -> dict[str, float]:
    """A chain of runs that all use one hub: its consumers."""
    store = _store(home)
    data = store.put_artifact_type(pb.ArtifactType(name="dataset"))
    runs = store.put_execution_type(pb.ExecutionType(name="step"))
    hub, before = store.put_artifacts([pb.Artifact(type_id=data), pb.Artifact(type_id=data)])
    for _ in range(count):
        (run,) = store.put_executions([pb.Execution(type_id=runs)])
        (output,) = store.put_artifacts([pb.Artifact(type_id=data)])
        used = [_event(pb.Event.INPUT, one, run) for one in (hub, before)]
        store.put_events([*used, _event(pb.Event.OUTPUT, output, run)])
        before = output

    def consumers(artifact: int) -> None:
        events = store.get_events_by_artifact_ids([artifact])
        store.get_executions_by_id([one.execution_id for one in events if one.type == pb.Event.INPUT])

    return {
        "consumers of a hub, as runs": median(timed(consumers, hub) for _ in range(3)),
        "consumers of a plain version": median(timed(consumers, before - 1) for _ in range(20)),
    }


if __name__ == "__main__":
    report(figures({"small-run": small_run, "chain": chain}, sys.argv))
