//! `logs`: what the workers of a topology wrote.
//!
//! Who follows goes on when Nimbus or a supervisor is started again, and when workers move: the logs are asked
//! for anew, and what was printed already is not printed again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::json;
use storm_rpc::{CallError, ErrorCode, Nimbuses, v1};
use tokio::time::Instant;
use tokio_stream::StreamExt as _;

use crate::args::Logs;
use crate::context::Context;
use crate::output;

/// Pause before logs are asked for anew.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often to look whether workers have moved.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Lines by which the place is found again up to which a log was printed.
const REMEMBERED: usize = 16;
/// Lines that are asked for anew: more are not written between a break and the next try, as a rule.
const TAIL_AGAIN: u32 = 1000;

/// Host and port of a worker.
type Place = (String, u32);

pub(super) async fn run(context: &Context, args: &Logs) -> Result<(), CallError> {
    let nimbuses = context.nimbuses()?;
    let topology = nimbuses.get_topology(&args.name).await?;
    if let Some(component) = &args.component {
        let is_there = |id: &str| topology.components.iter().any(|component| component.id == id);
        if !topology.components.is_empty() && !is_there(component) {
            let known: Vec<_> = topology.components.iter().map(|component| component.id.as_str()).collect();
            return Err(CallError::other(format!("'{}' has no component '{component}'", args.name))
                .advise(format!("there are: {}", known.join(", "))));
        }
    }
    let mut places = places(&topology);
    let mut printer = Printer {
        is_json: context.is_json,
        // One worker's lines speak for themselves.
        is_named: places.len() > 1 || args.follow,
        printed: Printed::default(),
    };
    // By its id: another one of this name is another one.
    let id = topology.summary.map_or_else(|| args.name.clone(), |summary| summary.id);
    let mut request = v1::LogRequest {
        topology: args.name.clone(),
        follow: args.follow,
        grep: args.grep.clone().unwrap_or_default(),
        component: args.component.clone().unwrap_or_default(),
        tail: args.tail,
        ..Default::default()
    };
    if !args.follow {
        let mut stream = nimbuses.read_log(&request).await?;
        while let Some(lines) = stream.next().await {
            if !printer.print(lines?) {
                break;
            }
        }
        return Ok(());
    }
    loop {
        let end = follow(&nimbuses, &request, &id, &places, &mut printer).await;
        match end {
            End::NobodyReads => return Ok(()),
            End::Moved => {}
            End::Broke(error) => {
                if matches!(error.code, ErrorCode::NotAuthenticated | ErrorCode::Usage) {
                    return Err(error);
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
        let topology = match nimbuses.get_topology(&id).await {
            Err(error) if error.code == ErrorCode::NoSuchTopology => {
                output::note(&format!("{} was killed", args.name));
                return Ok(());
            }
            topology => topology?,
        };
        places = self::places(&topology);
        printer.printed.begin_anew();
        request.tail = request.tail.max(TAIL_AGAIN);
    }
}

fn places(topology: &v1::TopologyStatus) -> BTreeSet<Place> {
    topology.workers.iter().map(|worker| (worker.host.clone(), worker.port)).collect()
}

/// Why following has ended.
enum End {
    /// Its workers are at other places.
    Moved,
    NobodyReads,
    Broke(CallError),
}

async fn follow(
    nimbuses: &Nimbuses,
    request: &v1::LogRequest,
    id: &str,
    places: &BTreeSet<Place>,
    printer: &mut Printer,
) -> End {
    let mut stream = match nimbuses.read_log(request).await {
        Ok(stream) => stream,
        Err(error) => return End::Broke(error),
    };
    let mut look_at = Instant::now() + LOOK_EVERY;
    loop {
        tokio::select! {
            lines = stream.next() => match lines {
                Some(Ok(lines)) => {
                    if !printer.print(lines) {
                        return End::NobodyReads;
                    }
                }
                Some(Err(status)) => return End::Broke(status.into()),
                None => return End::Broke(CallError::other("the logs have ended")),
            },
            () = tokio::time::sleep_until(look_at) => {
                match nimbuses.get_topology(id).await {
                    Ok(topology) if self::places(&topology) == *places => {}
                    Ok(_) => return End::Moved,
                    Err(error) if error.code == ErrorCode::NoSuchTopology => return End::Moved,
                    // The stream tells when it is lost, too.
                    Err(_) => {}
                }
                look_at = Instant::now() + LOOK_EVERY;
            }
        }
    }
}

struct Printer {
    is_json: bool,
    is_named: bool,
    printed: Printed,
}

impl Printer {
    /// Whether anybody reads.
    fn print(&mut self, lines: v1::LogLines) -> bool {
        let v1::LogLines { host, port, lines } = lines;
        let lines = self.printed.take((host.clone(), port), lines);
        lines.iter().all(|line| {
            if self.is_json {
                output::json_line(&json!({"host": host, "port": port, "line": line}))
            } else if self.is_named {
                output::line(&format!("{host}:{port} {line}"))
            } else {
                output::line(line)
            }
        })
    }
}

/// What was printed of each log last.
#[derive(Debug, Default)]
struct Printed {
    last: BTreeMap<Place, VecDeque<String>>,
    /// Places whose lines come again from an earlier one on.
    again: BTreeSet<Place>,
}

impl Printed {
    /// All logs come again from an earlier line on.
    fn begin_anew(&mut self) {
        self.again = self.last.keys().cloned().collect();
    }

    /// Of the next lines of a log those that were not printed. Where the last that were printed are not among
    /// them, all are new.
    fn take(&mut self, place: Place, mut lines: Vec<String>) -> Vec<String> {
        let last = self.last.entry(place.clone()).or_default();
        if self.again.remove(&place) && !last.is_empty() {
            let is_end = |end: &usize| {
                let before = lines[..*end].iter().rev();
                // The first lines that came may be in the middle of those that are remembered.
                *end > 0 && before.zip(last.iter().rev()).all(|(came, printed)| came == printed)
            };
            if let Some(end) = (0..=lines.len()).rev().find(is_end) {
                lines.drain(..end);
            }
        }
        last.extend(lines.iter().cloned());
        let too_many = last.len().saturating_sub(REMEMBERED);
        last.drain(..too_many);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_comes_again_is_printed_once() {
        let mut printed = Printed::default();
        let place = || ("h".to_owned(), 6700);
        assert_eq!(printed.take(place(), lines("a b c")), lines("a b c"));
        assert_eq!(printed.take(place(), lines("a")), lines("a"), "nothing comes again yet");
        printed.begin_anew();
        assert_eq!(printed.take(place(), lines("b c a d")), lines("d"));
        assert_eq!(printed.take(place(), lines("d")), lines("d"));
        printed.begin_anew();
        assert_eq!(printed.take(("h".to_owned(), 6701), lines("d d")), lines("d d"), "another log");
        assert_eq!(printed.take(place(), lines("x y")), lines("x y"), "the log was emptied");
        printed.begin_anew();
        assert_eq!(printed.take(place(), lines("x y")), lines(""));
    }
}
