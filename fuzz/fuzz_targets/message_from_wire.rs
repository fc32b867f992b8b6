//! Any bytes as a message, a token and an error of the daemons' service: refused, or what was
//! understood is sent as it came.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use storm_model::{
    AssignedExecutor, Assignment, Incarnation, Status, TopologyId, WorkerAssignment, WorkerSlot,
};
use storm_rpc::convert::{port, present, status_of, worker_state_name};
use storm_rpc::{CallError, Caller, ErrorCode, Secret, v1};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

fuzz_target!(|bytes: &[u8]| {
    if let Some(slot) = decode::<v1::Slot>(bytes)
        && let Ok(taken) = WorkerSlot::try_from(slot.clone())
    {
        assert_eq!(v1::Slot::from(&taken), slot);
    }
    if let Some(life) = decode::<v1::Incarnation>(bytes) {
        assert_eq!(v1::Incarnation::from(Incarnation::from(life)), life);
    }
    if let Some(executor) = decode::<v1::Executor>(bytes)
        && let Ok(taken) = AssignedExecutor::try_from(executor.clone())
    {
        assert_eq!(v1::Executor::from(&taken), executor);
        assert!(
            taken.executor.contains(taken.executor.first) && taken.executor.contains(taken.executor.last)
        );
    }
    if let Some(worker) = decode::<v1::WorkerAssignment>(bytes)
        && let Ok(taken) = WorkerAssignment::try_from(worker.clone())
    {
        assert_eq!(v1::WorkerAssignment::from(&taken), worker);
    }
    if let Some(assignment) = decode::<v1::Assignment>(bytes) {
        take_assignment(assignment);
    }
    if let Some(order) = decode::<v1::WorkerOrder>(bytes) {
        match order.order {
            Some(v1::worker_order::Order::Assignment(assignment)) => take_assignment(assignment),
            Some(v1::worker_order::Order::State(state)) => take_state(state),
            Some(_) | None => {}
        }
    }
    if let Some(v1::WorkerReportReply { assignment, state, .. }) = decode(bytes) {
        present(assignment, "the assignment").map(take_assignment).ok();
        take_state(state);
    }
    if let Some(report) = decode::<v1::SupervisorReport>(bytes) {
        report.workers.into_iter().for_each(take_report);
        for v1::SlotReport { port: number, state, .. } in report.slots {
            port(number).ok();
            worker_state_name(state);
        }
    }
    if let Some(report) = decode(bytes) {
        take_report(report);
    }
    decode::<v1::SubmitRequest>(bytes);
    decode::<v1::RebalanceRequest>(bytes);
    decode::<v1::TopologyStatus>(bytes);
    decode::<v1::ClusterSummary>(bytes);
    decode::<v1::BlobChunk>(bytes);
    decode::<v1::LogRequest>(bytes);

    if let Ok(text) = std::str::from_utf8(bytes) {
        let secret = Secret::new("of the cluster");
        assert_eq!(secret.check(Some(text)), None);
        Secret::none().check(Some(text));
        let (topology, incarnation) = (TopologyId::from(text), Incarnation::default());
        let token = secret.worker_token(&topology, incarnation);
        assert_eq!(secret.check(Some(&token)), Some(Caller::Worker { topology, incarnation }));
        let error = CallError::new(ErrorCode::Invalid, text).advise(text);
        assert_eq!(CallError::from(tonic::Status::from(error.clone())), error);
    }
    take_trailers(bytes);
});

/// A message that can be read; what is sent of it is read as the same.
fn decode<M: Message + Default + PartialEq + Debug>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    assert_eq!(M::decode(&*message.encode_to_vec()).ok().as_ref(), Some(&message));
    Some(message)
}

fn take_assignment(assignment: v1::Assignment) {
    if let Ok((topology, taken)) = <(TopologyId, Assignment)>::try_from(assignment.clone()) {
        assert_eq!(v1::Assignment::from((&topology, &taken)), assignment);
    }
}

fn take_state(number: i32) {
    if let Ok(status) = status_of(number) {
        assert_eq!(v1::TopologyState::from(status) as i32, number);
        assert_eq!(v1::TopologyState::from(status).try_into(), Ok::<Status, _>(status));
    }
}

fn take_report(report: v1::WorkerReport) {
    present(report.slot, "the slot").and_then(WorkerSlot::try_from).ok();
    worker_state_name(report.state);
}

/// Trailers of another server: the first part as the code, the second as the advice.
fn take_trailers(bytes: &[u8]) {
    let (code, advice) = bytes.split_at(bytes.iter().position(|byte| *byte == b' ').unwrap_or(0));
    let mut trailers = MetadataMap::new();
    for (key, value) in [("storm-error", code), ("storm-advice", advice)] {
        if let Ok(value) = AsciiMetadataValue::try_from(value) {
            trailers.insert(key, value);
        }
    }
    let status = tonic::Status::with_metadata(tonic::Code::Unavailable, "away", trailers);
    assert_eq!(CallError::from(status).message, "away");
}
