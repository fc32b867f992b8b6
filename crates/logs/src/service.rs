//! The service: logs of this machine for those who know the cluster's secret.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use storm_rpc::v1::logs_server::Logs;
use storm_rpc::v1::{
    self, FileBytes, FoundInFile, FoundInFiles, ListFilesRequest, LogFiles, LogPlace, ReadFileRequest,
    SearchFilesRequest, found_in_file,
};
use storm_rpc::{Secret, convert, server};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::directory::{LogDirectory, LogFile};
use crate::error::LogError;
use crate::follower::{Follower, Read};
use crate::search::{Match, Pattern};

/// Bytes of a message with a part of a file.
const CHUNK_BYTES: u64 = 256 << 10;
/// Messages that wait for their reader; the file is read no further meanwhile.
const CHUNKS_AHEAD: usize = 2;
/// How often a followed file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// Matches of an answer, unless asked otherwise.
const MATCHES: usize = 10;
/// And at most: with what is around them they stay below a few megabytes.
const MAX_MATCHES: usize = 1000;

/// The logs that a daemon serves.
#[derive(Clone, Debug)]
pub struct LogsService {
    /// The secret of the cluster.
    pub secret: Secret,
    /// Where the logs of this machine's workers are; none of a daemon that has no workers.
    pub workers_dir: Option<PathBuf>,
    /// Where the daemon's own log is, unless it writes none.
    pub daemon_dir: Option<PathBuf>,
}

impl LogsService {
    fn directory(&self, is_daemon: bool) -> Result<LogDirectory, LogError> {
        if is_daemon {
            let directory = self.daemon_dir.clone().map(LogDirectory::of_daemon);
            directory.ok_or(LogError::NotHere("its own"))
        } else {
            let directory = self.workers_dir.clone().map(LogDirectory::of_workers);
            directory.ok_or(LogError::NotHere("workers"))
        }
    }

    fn place(&self, place: Option<LogPlace>) -> Result<Place, Status> {
        let LogPlace { is_daemon, topology, port } = place.unwrap_or_default();
        let port = if port == 0 { None } else { Some(convert::port(port)?) };
        Ok(Place { directory: self.directory(is_daemon)?, topology, port })
    }
}

/// Which files of a directory.
struct Place {
    directory: LogDirectory,
    topology: String,
    port: Option<u16>,
}

impl Place {
    fn list(&self) -> std::io::Result<Vec<LogFile>> {
        self.directory.list(&self.topology, self.port)
    }
}

#[tonic::async_trait]
impl Logs for LogsService {
    type ReadFileStream = ReceiverStream<Result<FileBytes, Status>>;

    async fn list_files(&self, request: Request<ListFilesRequest>) -> Result<Response<LogFiles>, Status> {
        server::daemon(&self.secret, &request)?;
        let place = self.place(request.into_inner().place)?;
        let files = blocking(move || Ok(place.list()?)).await?;
        let files = files.into_iter().map(|LogFile { name, size, modified }| {
            let modified = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            v1::LogFile { name, size, modified_ms: modified.as_millis() as u64 }
        });
        Ok(Response::new(LogFiles { files: files.collect() }))
    }

    async fn read_file(
        &self,
        request: Request<ReadFileRequest>,
    ) -> Result<Response<Self::ReadFileStream>, Status> {
        server::daemon(&self.secret, &request)?;
        let ReadFileRequest { is_daemon, name, start, length, follow } = request.into_inner();
        let directory = self.directory(is_daemon)?;
        let opened = blocking(move || {
            let follower = Follower::open(&directory.resolve(&name)?, start)?;
            let rest = follower.size()?.saturating_sub(follower.position());
            Ok((follower, rest))
        });
        let (follower, rest) = opened.await?;
        let length = if length == 0 { u64::MAX } else { length };
        let left = if follow { length } else { length.min(rest) };
        let (chunks, taken) = mpsc::channel(CHUNKS_AHEAD);
        tokio::spawn(async move {
            if let Err(status) = read(follower, left, follow, &chunks).await {
                chunks.send(Err(status)).await.ok();
            }
        });
        Ok(Response::new(ReceiverStream::new(taken)))
    }

    async fn search_files(
        &self,
        request: Request<SearchFilesRequest>,
    ) -> Result<Response<FoundInFiles>, Status> {
        server::daemon(&self.secret, &request)?;
        let request = request.into_inner();
        let place = self.place(request.place.clone())?;
        // Dropped with this call, when its caller is gone.
        let wanted = Arc::new(());
        let is_wanted = Arc::downgrade(&wanted);
        let found = blocking(move || search(&place, &request, &|| is_wanted.strong_count() == 0)).await;
        drop(wanted);
        Ok(Response::new(found?))
    }
}

/// Sends what is left to read. There is one message at least, which says how large the file is.
async fn read(
    mut follower: Follower,
    mut left: u64,
    follow: bool,
    chunks: &mpsc::Sender<Result<FileBytes, Status>>,
) -> Result<(), Status> {
    let mut is_first = true;
    loop {
        let next = follower.position();
        let chunk;
        (follower, chunk) = blocking(move || {
            let chunk = follower.read_on(left.min(CHUNK_BYTES))?;
            Ok((follower, chunk))
        })
        .await?;
        let Read { offset, size, data } = chunk;
        let has_begun_anew = offset != next;
        let is_empty = data.is_empty();
        if has_begun_anew && !follow {
            return Ok(());
        }
        left -= data.len() as u64;
        if (is_first || !is_empty) && chunks.send(Ok(FileBytes { offset, size, data })).await.is_err() {
            return Ok(());
        }
        if left == 0 || (is_empty && !follow) {
            return Ok(());
        }
        is_first = false;
        if is_empty {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = chunks.closed() => return Ok(()),
            }
        }
    }
}

fn search(
    place: &Place,
    request: &SearchFilesRequest,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<FoundInFiles, LogError> {
    let pattern = Pattern::new(&request.text, request.is_regex, request.ignore_case)?;
    let names = if request.name.is_empty() {
        let files = place.list()?.into_iter().filter(|file| request.is_archived || !file.is_archived());
        files.map(|file| file.name).collect()
    } else {
        place.directory.resolve(&request.name)?;
        vec![request.name.clone()]
    };
    let mut left = if request.matches == 0 { MATCHES } else { MAX_MATCHES.min(request.matches as usize) };
    let mut start = request.start;
    let mut answer = FoundInFiles::default();
    for (number, name) in (0..).zip(names).skip(request.skip_files as usize) {
        if left == 0 {
            (answer.next_file, answer.next_start) = (Some(number), Some(0));
            break;
        }
        let found = match place.directory.resolve(&name) {
            Ok(path) => pattern.search(&path, std::mem::take(&mut start), left, is_unwanted)?,
            // It was removed meanwhile.
            Err(_) => continue,
        };
        left -= found.matches.len();
        if !found.matches.is_empty() {
            let matches = found.matches.into_iter().map(to_wire).collect();
            answer.files.push(FoundInFile { name, matches });
        }
        if found.next.is_some() {
            (answer.next_file, answer.next_start) = (Some(number), found.next);
            break;
        }
    }
    Ok(answer)
}

fn to_wire(Match { offset, before, text, after }: Match) -> found_in_file::Match {
    found_in_file::Match { offset, before, text, after }
}

/// Does what waits for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| Status::unavailable("this daemon is about to end"))??)
}

#[cfg(test)]
mod tests;
