//! The file that sampled tuples are written to, a line for each, in Storm's order:
//!
//! ```text
//! date,component,task,message id,[values]
//! 2025-11-24T16:00:00.123Z,split,4,1:00c0ffee00c0ffee,["to be", 7]
//! ```
//!
//! Executors hand lines to a thread that writes them. When that is too slow, lines are dropped and counted: what
//! is only looked at must not hold up the topology.

use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use storm_engine::{EventSink, SampledTuple};
use storm_logs::{Limit, RollingFile};
use storm_model::time::moment;

use crate::reporting::millis;

/// Lines that wait for the thread; more are dropped.
const WAITING: usize = 4096;
/// Bytes that these may have; the longest have some 5 KB.
const WAITING_BYTES: usize = 4 << 20;
/// Bytes that are written at once, if there are so many.
const AT_ONCE: usize = 64 << 10;
/// How often it is told that lines were dropped, and that the file cannot be written, at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The thread that writes, and its end.
pub(crate) struct EventsLog {
    sink: Arc<Sink>,
    thread: Option<JoinHandle<()>>,
}

enum Entry {
    Line(String),
    /// Write what came before, and end.
    End,
}

/// What executors hand tuples to.
struct Sink {
    entries: SyncSender<Entry>,
    /// Lines that wait, and their bytes.
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl Sink {
    fn new(entries: SyncSender<Entry>) -> Sink {
        let [waiting, waiting_bytes] = [0, 0].map(AtomicUsize::new);
        Sink { entries, waiting, waiting_bytes, dropped: AtomicU64::new(0) }
    }

    /// A line waits no more.
    fn was_taken(&self, line: &str) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("dropped", &self.dropped).finish_non_exhaustive()
    }
}

impl EventSink for Sink {
    fn has_room(&self) -> bool {
        let has_room = self.waiting.load(Ordering::Relaxed) < WAITING
            && self.waiting_bytes.load(Ordering::Relaxed) < WAITING_BYTES;
        if !has_room {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    fn take(&self, tuple: SampledTuple<'_>) {
        let line = line(millis(SystemTime::now()), &tuple);
        // Before it is there: it may be taken at once.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_add(line.len(), Ordering::Relaxed);
        if let Err(TrySendError::Full(entry) | TrySendError::Disconnected(entry)) =
            self.entries.try_send(Entry::Line(line))
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            if let Entry::Line(line) = entry {
                self.was_taken(&line);
            }
        }
    }
}

fn line(now_ms: u64, tuple: &SampledTuple<'_>) -> String {
    let SampledTuple { component, task, message_id, values, .. } = tuple;
    format!("{},{component},{task},{message_id},{values}\n", moment(now_ms))
}

impl EventsLog {
    /// Starts the thread. The file is made when there is something to be written.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(crate) fn start(path: PathBuf, limit: Limit) -> io::Result<EventsLog> {
        let (entries, taken) = sync_channel(WAITING);
        let sink = Arc::new(Sink::new(entries));
        let filled = sink.clone();
        let thread = std::thread::Builder::new().name("events-log".to_owned()).spawn(move || {
            let mut writer = Writer { path, limit, file: None, trouble_told: None };
            keep(&taken, &mut writer, &filled);
        })?;
        Ok(EventsLog { sink, thread: Some(thread) })
    }

    /// Where executors hand tuples to.
    pub(crate) fn sink(&self) -> Arc<dyn EventSink> {
        self.sink.clone()
    }
}

impl Drop for EventsLog {
    /// Waits until all is written.
    fn drop(&mut self) {
        self.sink.entries.send(Entry::End).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Writes until the end.
fn keep(entries: &Receiver<Entry>, writer: &mut Writer, sink: &Sink) {
    let mut told: Option<Instant> = None;
    let mut tell = |is_end: bool| {
        let is_time = told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if (is_time || is_end) && sink.dropped.load(Ordering::Relaxed) > 0 {
            let dropped = sink.dropped.swap(0, Ordering::Relaxed);
            tracing::warn!(dropped, "sampled tuples come faster than they can be written; sample fewer");
            told = Some(Instant::now());
        }
    };
    let mut is_ended = false;
    while !is_ended {
        let mut lines = Vec::new();
        let mut next = entries.recv().ok().or(Some(Entry::End));
        while let Some(entry) = next {
            match entry {
                Entry::Line(line) => {
                    sink.was_taken(&line);
                    lines.extend_from_slice(line.as_bytes());
                }
                Entry::End => is_ended = true,
            }
            let goes_on = !is_ended && lines.len() < AT_ONCE;
            next = if goes_on { entries.try_recv().ok() } else { None };
        }
        writer.write(&lines);
        tell(is_ended);
    }
}

/// The file, as far as it can be had.
struct Writer {
    path: PathBuf,
    limit: Limit,
    file: Option<RollingFile>,
    trouble_told: Option<Instant>,
}

impl Writer {
    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        if let Err(error) = self.try_write(lines) {
            self.file = None;
            if self.trouble_told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                self.trouble_told = Some(Instant::now());
                let path = self.path.display();
                tracing::warn!(%path, %error, "sampled tuples cannot be written");
            }
        }
    }

    fn try_write(&mut self, lines: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(RollingFile::open(self.path.clone(), self.limit)?),
        };
        file.write_all(lines)
    }
}

#[cfg(test)]
mod tests {
    use storm_model::TaskId;

    use super::*;

    #[test]
    fn a_line_has_storms_order() {
        let (component, stream) = ("split".into(), "default".into());
        let tuple = SampledTuple {
            component: &component,
            task: TaskId(4),
            stream: &stream,
            message_id: "1:00c0ffee00c0ffee".to_owned(),
            values: r#"["to be", 7]"#.to_owned(),
        };
        let expected = "2025-11-24T16:00:00.123Z,split,4,1:00c0ffee00c0ffee,[\"to be\", 7]\n";
        assert_eq!(line(1_764_000_000_123, &tuple), expected);
    }

    #[test]
    fn all_that_was_taken_is_written_and_the_rest_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/events.log");
        let log = EventsLog::start(path.clone(), Limit { bytes: 1 << 20, keep: 1 }).unwrap();
        assert!(!path.exists());
        let (component, stream) = ("split".into(), "default".into());
        let sink = log.sink();
        for n in 0..1000 {
            sink.take(SampledTuple {
                component: &component,
                task: TaskId(1),
                stream: &stream,
                message_id: String::new(),
                values: format!("[{n}]"),
            });
        }
        drop(log);
        let text = std::fs::read_to_string(&path).unwrap();
        let values = text.lines().map(|line| line.rsplit_once(',').unwrap().1.to_owned());
        assert!(values.eq((0..1000).map(|n| format!("[{n}]"))), "{text}");
        // An executor that is left behind may go on.
        let component = "late".into();
        let tuple = SampledTuple {
            component: &component,
            task: TaskId(1),
            stream: &stream,
            message_id: String::new(),
            values: String::new(),
        };
        sink.take(tuple);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (entries, taken) = sync_channel(1);
        let sink = Sink::new(entries);
        let (component, stream) = ("split".into(), "default".into());
        for _ in 0..3 {
            sink.take(SampledTuple {
                component: &component,
                task: TaskId(1),
                stream: &stream,
                message_id: String::new(),
                values: String::new(),
            });
        }
        assert_eq!(sink.dropped.load(Ordering::Relaxed), 2);
        assert!(matches!(taken.recv(), Ok(Entry::Line(_))));
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_no_text_is_made_for_more() {
        let (entries, taken) = sync_channel(WAITING);
        let sink = Sink::new(entries);
        let (component, stream) = ("split".into(), "default".into());
        let mut lines = 0;
        while sink.has_room() {
            lines += 1;
            sink.take(SampledTuple {
                component: &component,
                task: TaskId(1),
                stream: &stream,
                message_id: String::new(),
                values: "v".repeat(64 << 10),
            });
        }
        assert!((60..=64).contains(&lines), "{lines}");
        assert_eq!(sink.dropped.load(Ordering::Relaxed), 1);
        let Ok(Entry::Line(line)) = taken.recv() else { panic!("there are lines") };
        sink.was_taken(&line);
        assert!(sink.has_room());
    }
}
