//! The service over a line, as others see it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use storm_rpc::client::{self, Line, Token};
use storm_rpc::v1::logs_client::LogsClient;
use storm_rpc::v1::logs_server::LogsServer;
use storm_rpc::{CallError, ErrorCode};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

use super::*;

/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(30);
const LOG: &str = "words-1-10/6700/worker.log";

struct Served {
    directory: tempfile::TempDir,
    address: String,
    secret: Secret,
}

impl Served {
    async fn start() -> Served {
        let directory = tempfile::tempdir().unwrap();
        let secret = Secret::new("of the tests");
        let service = LogsService {
            secret: secret.clone(),
            workers_dir: Some(directory.path().join("artifacts")),
            daemon_dir: Some(directory.path().join("logs")),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tonic::transport::Server::builder().add_service(LogsServer::new(service));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Served { directory, address, secret }
    }

    fn client(&self) -> LogsClient<Line> {
        client::logs(&self.address, Token::daemon(&self.secret)).unwrap()
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn worker_log(&self, name: &str, content: &[u8]) -> PathBuf {
        self.write(&format!("artifacts/{name}"), content)
    }

    async fn list(&self, topology: &str, port: u32) -> Vec<String> {
        let place = LogPlace { topology: topology.to_owned(), port, is_daemon: false };
        let files = self.client().list_files(ListFilesRequest { place: Some(place) }).await.unwrap();
        files.into_inner().files.into_iter().map(|file| file.name).collect()
    }

    async fn read(&self, start: i64, length: u64) -> Vec<FileBytes> {
        let request = ReadFileRequest { name: LOG.to_owned(), start, length, ..Default::default() };
        let mut stream = self.client().read_file(request).await.unwrap().into_inner();
        let mut all = Vec::new();
        while let Some(bytes) = stream.message().await.unwrap() {
            all.push(bytes);
        }
        all
    }

    async fn search(&self, request: SearchFilesRequest) -> Result<FoundInFiles, CallError> {
        let place = Some(request.place.clone().unwrap_or_default());
        let found = self.client().search_files(SearchFilesRequest { place, ..request }).await;
        Ok(found?.into_inner())
    }
}

fn for_text(text: &str) -> SearchFilesRequest {
    SearchFilesRequest { text: text.to_owned(), ..Default::default() }
}

/// Names of files, and where in them.
fn places(found: &FoundInFiles) -> Vec<(&str, Vec<u64>)> {
    let offsets = |file: &FoundInFile| file.matches.iter().map(|found| found.offset).collect();
    found.files.iter().map(|file| (file.name.as_str(), offsets(file))).collect()
}

#[tokio::test]
async fn files_are_listed() {
    let served = Served::start().await;
    assert!(served.list("", 0).await.is_empty());
    served.worker_log(LOG, b"12345");
    served.worker_log("words-1-10/6701/worker.log", b"");
    served.write("logs/nimbus.log", b"123");
    assert_eq!(served.list("words", 6700).await, [LOG]);
    assert_eq!(served.list("", 0).await.len(), 2);
    let place = Some(LogPlace { is_daemon: true, ..Default::default() });
    let files = served.client().list_files(ListFilesRequest { place }).await.unwrap().into_inner().files;
    assert_eq!((files.len(), files[0].name.as_str(), files[0].size), (1, "nimbus.log", 3));
    let age = SystemTime::now() - Duration::from_millis(files[0].modified_ms);
    assert!(age.duration_since(SystemTime::UNIX_EPOCH).unwrap() < PATIENCE);
}

#[tokio::test]
async fn parts_of_a_file_are_read() {
    let served = Served::start().await;
    let content: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    served.worker_log(LOG, &content);
    for (start, length) in
        [(0, 0), (1, 5), (-5, 0), (-5, 2), (300_000, 300_000), (-1_000_000, 3), (699_999, 9)]
    {
        let parts = served.read(start, length).await;
        let first = if start < 0 { (content.len() as i64 + start).max(0) } else { start } as usize;
        let end = if length == 0 { content.len() } else { content.len().min(first + length as usize) };
        let mut next = first as u64;
        for part in &parts {
            assert_eq!((part.offset, part.size), (next, content.len() as u64));
            assert!(part.data.len() as u64 <= CHUNK_BYTES);
            next += part.data.len() as u64;
        }
        let read: Vec<u8> = parts.into_iter().flat_map(|part| part.data).collect();
        assert!(read == content[first..end], "{start} {length}");
    }
    let behind = served.read(800_000, 5).await;
    assert_eq!(behind, [FileBytes { offset: 700_000, size: 700_000, data: Vec::new() }]);
    served.worker_log(LOG, b"");
    assert_eq!(served.read(0, 0).await, [FileBytes::default()]);
}

#[tokio::test]
async fn a_file_is_followed_while_it_grows_and_turns() {
    let served = Served::start().await;
    let path = served.worker_log(LOG, b"one ");
    let request = ReadFileRequest { name: LOG.to_owned(), start: -2, follow: true, ..Default::default() };
    let mut stream = served.client().read_file(request).await.unwrap().into_inner();
    let mut next = async || {
        let bytes = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
        (bytes.offset, bytes.size, String::from_utf8(bytes.data).unwrap())
    };
    let append = |path: &Path, text: &str| {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    assert_eq!(next().await, (2, 4, "e ".to_owned()));
    append(&path, "two ");
    assert_eq!(next().await, (4, 8, "two ".to_owned()));
    fs::rename(&path, path.with_extension("log.1")).unwrap();
    append(&path, "three");
    assert_eq!(next().await, (0, 5, "three".to_owned()));
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    append(&path, "four");
    assert_eq!(next().await, (0, 4, "four".to_owned()));

    let bounded = ReadFileRequest { name: LOG.to_owned(), length: 6, follow: true, ..Default::default() };
    let mut stream = served.client().read_file(bounded).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().data, b"four");
    append(&path, "five");
    assert_eq!(stream.message().await.unwrap().unwrap().data, b"fi");
    assert_eq!(stream.message().await.unwrap(), None);
}

#[tokio::test]
async fn a_topology_is_searched_page_by_page() {
    let served = Served::start().await;
    served.worker_log(LOG, b"an error, an Error\nan error\n");
    served.worker_log("words-1-10/6700/worker.log.1", b"an error of before\n");
    served.worker_log("words-1-10/6701/worker.log", b"no problem\n");
    served.worker_log("words-1-10/6702/worker.log", b"error\n");
    served.worker_log("others-2-11/6700/worker.log", b"error\n");
    let words = LogPlace { topology: "words".to_owned(), ..Default::default() };
    let request = SearchFilesRequest { place: Some(words), ..for_text("error") };
    let found = served.search(request.clone()).await.unwrap();
    assert_eq!(places(&found), [(LOG, vec![3, 22]), ("words-1-10/6702/worker.log", vec![0])]);
    assert_eq!((found.next_file, found.next_start), (None, None));
    let first = &found.files[0].matches[0];
    assert_eq!((first.before.as_str(), first.text.as_str()), ("an ", "error"));
    assert_eq!(first.after, ", an Error\nan error\n");

    let archived = SearchFilesRequest { ignore_case: true, is_archived: true, ..request.clone() };
    let (mut pages, mut next) = (Vec::new(), SearchFilesRequest { matches: 2, ..archived });
    loop {
        let found = served.search(next.clone()).await.unwrap();
        let all = places(&found).into_iter().flat_map(|(_, offsets)| offsets);
        pages.push(all.collect::<Vec<_>>());
        let Some(skip_files) = found.next_file else { break };
        next = SearchFilesRequest { skip_files, start: found.next_start(), ..next };
    }
    assert_eq!(pages, [vec![3, 13], vec![22, 3], vec![0]]);

    let in_file = SearchFilesRequest { name: LOG.to_owned(), is_regex: true, ..for_text(r"^an \w+$") };
    let found = served.search(in_file.clone()).await.unwrap();
    assert_eq!(places(&found), [(LOG, vec![19])]);
    let one = SearchFilesRequest { matches: 1, ..in_file };
    let found = served.search(one.clone()).await.unwrap();
    assert_eq!((found.next_file, found.next_start), (Some(0), Some(27)));
    let rest = SearchFilesRequest { start: 27, ..one };
    assert_eq!(served.search(rest).await.unwrap(), FoundInFiles::default());
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let served = Served::start().await;
    served.worker_log(LOG, b"");
    served.write("secret", b"secret");
    served.write("logs/nimbus.log", b"");
    for (is_daemon, name) in
        [(true, "../secret"), (true, ".."), (true, "/etc/passwd"), (false, "a/1/../../secret"), (false, "")]
    {
        let request = ReadFileRequest { is_daemon, name: name.to_owned(), ..Default::default() };
        let error = CallError::from(served.client().read_file(request).await.unwrap_err());
        assert_eq!(error.code, ErrorCode::Invalid);
        assert_eq!(error.message, format!("'{name}' is no name of a log file"));
        let place = Some(LogPlace { is_daemon, ..Default::default() });
        let request = SearchFilesRequest { place, name: name.to_owned(), ..for_text("x") };
        assert!(name.is_empty() || served.search(request).await.is_err());
    }
    let absent = ReadFileRequest { is_daemon: true, name: "ui.log".to_owned(), ..Default::default() };
    let error = CallError::from(served.client().read_file(absent).await.unwrap_err());
    assert_eq!((error.code, error.advice.as_str()), (ErrorCode::Invalid, "there are 1: nimbus.log"));
    let bad = SearchFilesRequest { is_regex: true, ..for_text("(") };
    let error = served.search(bad).await.unwrap_err();
    assert!(error.code == ErrorCode::Invalid && error.message.contains("unclosed group"), "{error:?}");
    assert_eq!(served.search(for_text("")).await.unwrap_err().code, ErrorCode::Invalid);
}

#[tokio::test]
async fn nobody_else_is_let_in() {
    let served = Served::start().await;
    served.worker_log(LOG, b"");
    let worker = served.secret.worker_token(&"words-1-10".into(), Default::default());
    for token in [Token::daemon(&Secret::new("another")), Token::new(&worker)] {
        let mut client = client::logs(&served.address, token).unwrap();
        let code = |status: Status| CallError::from(status).code;
        let place = Some(LogPlace::default());
        let listed = client.list_files(ListFilesRequest { place: place.clone() }).await;
        assert_eq!(code(listed.unwrap_err()), ErrorCode::NotAuthenticated);
        let request = ReadFileRequest { name: LOG.to_owned(), ..Default::default() };
        assert_eq!(code(client.read_file(request).await.unwrap_err()), ErrorCode::NotAuthenticated);
        let request = SearchFilesRequest { place, ..for_text("x") };
        assert_eq!(code(client.search_files(request).await.unwrap_err()), ErrorCode::NotAuthenticated);
    }
}

#[tokio::test]
async fn a_daemon_without_workers_says_so() {
    let service = LogsService { secret: Secret::none(), workers_dir: None, daemon_dir: None };
    let request = ListFilesRequest { place: Some(LogPlace::default()) };
    let error = CallError::from(service.list_files(Request::new(request)).await.unwrap_err());
    assert_eq!(error.message, "this daemon has no logs of workers");
    assert_eq!(error.advice, "supervisors have those of the workers on their machine");
}
