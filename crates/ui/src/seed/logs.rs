//! Log files that nobody wrote.

use std::fmt::Write as _;

use futures_util::stream;
use storm_rpc::{CallError, v1};

use super::State;
use super::random::Random;
use crate::source::LogBytes;

/// Bytes in each part of a file that is read.
const CHUNK: usize = 64 * 1024;
/// Bytes of text around a match.
const AROUND: usize = 128;

/// The log files of one machine.
pub(super) struct Disk {
    daemon: Vec<File>,
    workers: Vec<File>,
}

struct File {
    name: String,
    modified_ms: u64,
    text: String,
}

impl Disk {
    /// The disk of the daemon at this address.
    pub(super) fn at(state: &State, address: &str) -> Result<Disk, CallError> {
        let cluster = &state.cluster.cluster;
        let now = state.options.now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now_ms = now.as_millis() as u64;
        if cluster.nimbuses.iter().any(|nimbus| address == format!("{}:{}", nimbus.host, nimbus.port)) {
            return Ok(Disk { daemon: vec![daemon("nimbus", address, now_ms)], workers: Vec::new() });
        }
        let mut supervisors = cluster.supervisors.iter();
        let supervisor = supervisors.find(|s| address == format!("{}:{}", s.host, s.rpc_port));
        let Some(supervisor) = supervisor.filter(|supervisor| !supervisor.is_silent) else {
            let message = format!("cannot connect to {address}: connection refused");
            return Err(CallError::new(storm_rpc::ErrorCode::Unreachable, message));
        };
        let mut workers = Vec::new();
        for view in &state.topologies {
            let topology = view.summary();
            let mine = view.status.workers.iter().filter(|worker| worker.supervisor_id == supervisor.id);
            for worker in mine {
                let file = |name: &str, age_ms: u64, text| File {
                    name: format!("{}/{}/{name}", topology.id, worker.port),
                    modified_ms: now_ms - age_ms,
                    text,
                };
                let seed = u64::from(worker.port) + topology.uptime_secs;
                workers.push(file("worker.log", 800, worker_log(&topology.name, worker, seed, 1_200)));
                workers.push(file(
                    "worker.log.1",
                    9_000_000,
                    worker_log(&topology.name, worker, seed + 1, 600),
                ));
                if !view.status.debug.is_empty() {
                    workers.push(file("events.log", 400, events_log(worker)));
                }
            }
        }
        Ok(Disk { daemon: vec![daemon("supervisor", address, now_ms)], workers })
    }

    pub(super) fn list(&self, place: &v1::LogPlace) -> Vec<v1::LogFile> {
        let file = |file: &File| v1::LogFile {
            name: file.name.clone(),
            size: file.text.len() as u64,
            modified_ms: file.modified_ms,
        };
        self.files(place).map(file).collect()
    }

    pub(super) fn read(&self, request: &v1::ReadFileRequest) -> Result<LogBytes, CallError> {
        let place = v1::LogPlace { is_daemon: request.is_daemon, ..Default::default() };
        let mut files = self.files(&place);
        let file = files.find(|file| file.name == request.name).ok_or_else(|| no_such_file(&request.name))?;
        let size = file.text.len() as u64;
        let start = match u64::try_from(request.start) {
            Ok(start) => start.min(size),
            Err(_) => size.saturating_sub(request.start.unsigned_abs()),
        };
        let end = if request.length == 0 { size } else { size.min(start.saturating_add(request.length)) };
        let bytes = file.text.as_bytes().get(start as usize..end as usize).unwrap_or_default();
        let chunk = |(place, data): (usize, &[u8])| {
            let offset = start + (place * CHUNK) as u64;
            Ok(v1::FileBytes { offset, size, data: data.to_vec() })
        };
        let mut chunks: Vec<Result<v1::FileBytes, CallError>> =
            bytes.chunks(CHUNK).enumerate().map(chunk).collect();
        if chunks.is_empty() {
            chunks.push(Ok(v1::FileBytes { offset: start, size, data: Vec::new() }));
        }
        Ok(Box::pin(stream::iter(chunks)))
    }

    pub(super) fn search(&self, request: &v1::SearchFilesRequest) -> Result<v1::FoundInFiles, CallError> {
        let place = request.place.clone().unwrap_or_default();
        let mut files: Vec<(usize, &File)> = self.files(&place).enumerate().collect();
        if request.name.is_empty() {
            files.retain(|(_, file)| request.is_archived || !file.name.ends_with(".1"));
        } else {
            files.retain(|(_, file)| file.name == request.name);
            if files.is_empty() {
                return Err(no_such_file(&request.name));
            }
        }
        let limit = if request.matches == 0 { 10 } else { request.matches as usize };
        let mut found = v1::FoundInFiles::default();
        let mut count = 0;
        for (skipped, (_, file)) in files.iter().enumerate().skip(request.skip_files as usize) {
            let mut matches = Vec::new();
            let mut from = if skipped == request.skip_files as usize { request.start as usize } else { 0 };
            while let Some(at) = find(&file.text, &request.text, from, request.ignore_case) {
                if count == limit {
                    (found.next_file, found.next_start) = (Some(skipped as u32), Some(at as u64));
                    break;
                }
                count += 1;
                from = at + request.text.len().max(1);
                matches.push(a_match(&file.text, at, from));
            }
            if !matches.is_empty() {
                found.files.push(v1::FoundInFile { name: file.name.clone(), matches });
            }
            if found.next_file.is_some() {
                break;
            }
        }
        Ok(found)
    }

    fn files(&self, place: &v1::LogPlace) -> impl Iterator<Item = &File> {
        let files = if place.is_daemon { &self.daemon } else { &self.workers };
        let topology = place.topology.clone();
        let port = (place.port > 0).then(|| format!("/{}/", place.port));
        files.iter().filter(move |file| {
            let of = file.name.split('/').next().unwrap_or_default();
            let is_named = |of: &str| of.rsplitn(3, '-').nth(2) == Some(&*topology);
            let of_topology = topology.is_empty() || of == topology || is_named(of);
            of_topology && port.as_ref().is_none_or(|port| file.name.contains(port.as_str()))
        })
    }
}

fn no_such_file(name: &str) -> CallError {
    CallError::invalid(format!("there is no log file '{name}'"))
}

fn find(text: &str, wanted: &str, from: usize, ignore_case: bool) -> Option<usize> {
    let rest = text.as_bytes().get(from..)?;
    let is_here = |window: &[u8]| match ignore_case {
        true => window.eq_ignore_ascii_case(wanted.as_bytes()),
        false => window == wanted.as_bytes(),
    };
    rest.windows(wanted.len().max(1)).position(is_here).map(|at| from + at)
}

/// All files are ASCII, so that any place is between two characters.
fn a_match(text: &str, start: usize, end: usize) -> v1::found_in_file::Match {
    let part = |from: usize, to: usize| text.get(from..to.min(text.len())).unwrap_or_default().to_owned();
    v1::found_in_file::Match {
        offset: start as u64,
        before: part(start.saturating_sub(AROUND), start),
        text: part(start, end),
        after: part(end, end + AROUND),
    }
}

fn worker_log(topology: &str, worker: &v1::WorkerStatus, seed: u64, lines: u64) -> String {
    let mut random = Random::new(seed, 7);
    let mut text = String::new();
    for line in 0..lines {
        let (minute, second) = (line / 60 % 60, line % 60);
        let component = match worker.executors.len() as u64 {
            0 => "none",
            executors => &worker.executors[random.below(executors) as usize].component,
        };
        let (level, message) = match random.below(40) {
            0 => ("ERROR", "cannot look up a user: connection refused"),
            1..=3 => ("WARN", "a batch took longer than 250 ms"),
            4..=20 => ("INFO", "processed a batch"),
            _ => ("DEBUG", "flushed"),
        };
        let millis = random.below(1_000);
        let rows = random.below(500);
        writeln!(
            text,
            "2026-01-05T07:{minute:02}:{second:02}.{millis:03}Z {level:>5} {component}: {message} topology={topology} rows={rows}"
        )
        .expect("a string takes everything");
    }
    text
}

fn events_log(worker: &v1::WorkerStatus) -> String {
    let line = |(place, executor): (usize, &v1::Executor)| {
        format!(
            "2026-01-05T07:59:{place:02}.000Z {} {} [\"a word\",{place}]\n",
            executor.component, executor.first_task
        )
    };
    worker.executors.iter().enumerate().map(line).collect()
}

fn daemon(name: &str, address: &str, now_ms: u64) -> File {
    let line = |place: u64| {
        let (minute, second) = (place / 60 % 60, place % 60);
        let message = if place % 50 == 3 { "WARN a report came late" } else { "INFO took a report" };
        format!("2026-01-05T07:{minute:02}:{second:02}.000Z  {message} daemon={name} address={address}\n")
    };
    File { name: format!("{name}.log"), modified_ms: now_ms - 300, text: (0..400).map(line).collect() }
}
