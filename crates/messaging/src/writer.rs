//! The thread that writes a lane: pulls frames from the source, and confirms those that came.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::thread;
use std::time::Instant;

use crate::error::ProtocolError;
use crate::figures::add;
use crate::frame::{self, HEADER_BYTES, KIND_CONFIRM};
use crate::lines::Source;
use crate::link::Link;
use crate::session::Outgoing;
use crate::settings::Settings;

pub(crate) struct Writer {
    link: Arc<Link>,
    source: Box<dyn Source>,
    settings: Settings,
    outgoing: Outgoing,
    stream: Option<Arc<TcpStream>>,
    sign: Vec<u8>,
    written_at: Instant,
    /// Since when there is something to confirm.
    unconfirmed_since: Option<Instant>,
}

impl Writer {
    pub(crate) fn new(link: Arc<Link>, source: Box<dyn Source>, settings: Settings) -> Writer {
        let outgoing = Outgoing::new(settings.body_bytes, settings.write_bytes);
        Writer {
            link,
            source,
            settings,
            outgoing,
            stream: None,
            sign: Vec::new(),
            written_at: Instant::now(),
            unconfirmed_since: None,
        }
    }

    /// Until the lane is closed.
    pub(crate) fn run(mut self) -> Result<(), ProtocolError> {
        while !self.link.is_closed() {
            self.hear_of_connections()?;
            self.outgoing.confirm(self.link.confirmed.load(SeqCst))?;
            if self.stream.is_none() {
                thread::park();
                continue;
            }
            let has_room = self.pull()?;
            if !self.outgoing.unwritten().is_empty() {
                self.write();
            } else if has_room || self.starves() {
                self.confirm_or_park();
            }
        }
        Ok(())
    }

    fn hear_of_connections(&mut self) -> Result<(), ProtocolError> {
        let Some(news) = self.link.news() else { return Ok(()) };
        self.stream = None;
        let Some(connection) = news else { return Ok(()) };
        self.outgoing.reconnect(connection.confirmed)?;
        self.stream = Some(connection.stream);
        self.link.told.store(connection.told, Relaxed);
        self.link.told_bytes.store(self.link.received_bytes.load(Relaxed), Relaxed);
        self.unconfirmed_since = None;
        self.written_at = Instant::now();
        self.source.attach();
        Ok(())
    }

    /// Fills the buffer. Says whether there was room for more than the source had.
    fn pull(&mut self) -> Result<bool, ProtocolError> {
        let (received, bytes) = self.count();
        let before = self.outgoing.frames();
        let mut has_room = true;
        while !self.outgoing.is_ready() {
            has_room = self.outgoing.kept_bytes() < self.settings.kept_bytes;
            let source = &mut self.source;
            if !has_room || !self.outgoing.push(received, |body| source.next(body))? {
                break;
            }
        }
        if self.outgoing.frames() > before {
            self.link.sent.store(self.outgoing.frames(), Release);
            self.tell(received, bytes);
        }
        Ok(has_room)
    }

    /// What has come, as it will be told. Whatever comes after this arms the writer anew.
    fn count(&self) -> (u64, u64) {
        self.link.is_armed.store(false, SeqCst);
        (self.link.received.load(SeqCst), self.link.received_bytes.load(Relaxed))
    }

    fn tell(&mut self, received: u64, bytes: u64) {
        self.link.told.store(received, Relaxed);
        self.link.told_bytes.store(bytes, Relaxed);
        self.unconfirmed_since = None;
    }

    /// Nothing may be pulled until the peer confirms: whether that still holds now that it will wake us.
    fn starves(&self) -> bool {
        self.link.is_starved.store(true, SeqCst);
        self.link.confirmed.load(SeqCst) == self.outgoing.confirmed()
    }

    fn write(&mut self) {
        let Some(mut stream) = self.stream.as_deref() else { return };
        let bytes = self.outgoing.unwritten();
        match stream.write_all(bytes) {
            Ok(()) => {
                add(&self.link.counters.written, bytes.len() as u64);
                self.outgoing.wrote();
                self.written_at = Instant::now();
            }
            Err(_) => self.give_up(),
        }
    }

    /// The connection is broken. The reader sees it too, and says why.
    fn give_up(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    fn confirm_or_park(&mut self) {
        let (received, bytes) = self.count();
        let frames = received - self.link.told.load(Relaxed);
        let unconfirmed = bytes.saturating_sub(self.link.told_bytes.load(Relaxed));
        let now = Instant::now();
        let mut until = self.written_at + self.settings.ping_after;
        let mut is_due = now >= until;
        if frames > 0 {
            self.link.is_armed.store(true, SeqCst);
            let since = *self.unconfirmed_since.get_or_insert(now);
            until = until.min(since + self.settings.confirm_after);
            is_due |= now >= until
                || frames >= self.settings.confirm_frames
                || unconfirmed >= self.settings.confirm_bytes;
        }
        if !is_due {
            thread::park_timeout(until - now);
            return;
        }
        let Some(mut stream) = self.stream.as_deref() else { return };
        self.sign.clear();
        let start = frame::begin(&mut self.sign);
        frame::finish(&mut self.sign, start, KIND_CONFIRM, self.outgoing.frames(), received);
        match stream.write_all(&self.sign) {
            Ok(()) => {
                add(&self.link.counters.written, HEADER_BYTES as u64);
                self.written_at = now;
                self.tell(received, bytes);
            }
            Err(_) => self.give_up(),
        }
    }
}

impl Link {
    /// The reader has handed frames over: the writer hears of it when there is something to do for it.
    pub(crate) fn received(&self, frames: u64, bytes: u64, settings: &Settings) {
        self.received_bytes.store(bytes, Relaxed);
        self.received.store(frames, SeqCst);
        let unconfirmed = bytes.saturating_sub(self.told_bytes.load(Relaxed));
        let is_much = unconfirmed >= settings.confirm_bytes
            || frames.saturating_sub(self.told.load(Relaxed)) >= settings.confirm_frames;
        if !self.is_armed.swap(true, SeqCst) || is_much {
            self.wake_writer();
        }
    }

    /// The reader has seen the peer's count.
    pub(crate) fn count(&self, count: u64) -> Result<(), ProtocolError> {
        let sent = self.sent.load(Acquire);
        if count > sent {
            return Err(ProtocolError::CountAhead { count, sent });
        }
        if count > self.confirmed.load(Relaxed) {
            self.confirmed.store(count, SeqCst);
            if self.is_starved.swap(false, SeqCst) {
                self.wake_writer();
            }
        }
        Ok(())
    }
}
