//! The log files that a supervisor serves: its workers' and its own.

use std::fs;

use storm_rpc::client::{self, Line, Token};
use storm_rpc::v1::logs_client::LogsClient;
use storm_rpc::v1::{FileBytes, ListFilesRequest, LogPlace, ReadFileRequest, SearchFilesRequest};
use storm_rpc::{CallError, ErrorCode, Secret};
use tonic::Streaming;

use crate::fake_nimbus::PATIENCE;
use crate::land::{Land, PORT, PORTS, WORDS};

fn client(land: &Land, token: Token) -> LogsClient<Line> {
    client::logs(&format!("127.0.0.1:{}", land.options.rpc_port), token).unwrap()
}

fn worker_log() -> String {
    format!("{WORDS}/{PORT}/worker.log")
}

/// Reads on until a text has come.
async fn read_until(text: &str, stream: &mut Streaming<FileBytes>, read: &mut Vec<u8>) {
    while !String::from_utf8_lossy(read).contains(text) {
        let bytes = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(bytes.offset, read.len() as u64);
        read.extend(bytes.data);
    }
}

#[tokio::test]
async fn files_of_workers_are_listed_followed_and_searched() {
    let land = Land::with_worker("").await;
    land.nimbus.running(PORT).await;
    let mut client = client(&land, Token::daemon(&land.options.secret));
    let place = LogPlace { topology: "words".to_owned(), port: PORT, is_daemon: false };
    let listed = client.list_files(ListFilesRequest { place: Some(place.clone()) }).await.unwrap();
    let names: Vec<_> = listed.into_inner().files.into_iter().map(|file| file.name).collect();
    assert_eq!(names, [worker_log()]);

    let request = ReadFileRequest { name: worker_log(), follow: true, ..Default::default() };
    let mut stream = client.read_file(request).await.unwrap().into_inner();
    let mut read = Vec::new();
    read_until("attached\n", &mut stream, &mut read).await;
    land.calls().restart_worker(PORTS[0]).await.unwrap();
    read_until("stop: a restart was asked for\n", &mut stream, &mut read).await;

    for (text, is_regex) in [("attached", false), ("^attached$", true)] {
        let request = SearchFilesRequest {
            place: Some(place.clone()),
            text: text.to_owned(),
            is_regex,
            matches: 1,
            ..Default::default()
        };
        let found = client.search_files(request).await.unwrap().into_inner();
        assert_eq!((found.files.len(), found.files[0].name.clone()), (1, worker_log()));
        let first = &found.files[0].matches[0];
        let start = first.offset as usize;
        assert_eq!(&read[start..start + first.text.len()], b"attached");
        assert_eq!((found.next_file, found.next_start), (Some(0), Some(first.offset + 8)));
    }
}

#[tokio::test]
async fn its_own_log_is_read_and_nothing_else() {
    let mut land = Land::new().await;
    fs::create_dir(&land.options.log_dir).unwrap();
    fs::write(land.options.log_dir.join("supervisor.log"), "said").unwrap();
    fs::write(land.directory.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(land.directory.path(), land.options.log_dir.join("out")).unwrap();
    land.start().await;
    let mut client = client(&land, Token::daemon(&land.options.secret));
    let place = Some(LogPlace { is_daemon: true, ..Default::default() });
    let listed = client.list_files(ListFilesRequest { place }).await.unwrap().into_inner();
    assert_eq!((listed.files.len(), listed.files[0].name.as_str()), (1, "supervisor.log"));
    let read = |name: &str, is_daemon| ReadFileRequest { is_daemon, name: name.into(), ..Default::default() };
    let mut stream = client.read_file(read("supervisor.log", true)).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().data, b"said");
    assert_eq!(stream.message().await.unwrap(), None);
    for (name, is_daemon) in
        [("../secret", true), ("out/secret", true), ("out", true), ("../../secret", false), ("a/1/..", false)]
    {
        let error = CallError::from(client.read_file(read(name, is_daemon)).await.unwrap_err());
        assert_eq!(error.code, ErrorCode::Invalid, "{name}: {error}");
    }
}

#[tokio::test]
async fn nobody_without_the_secret_reads_logs() {
    let land = Land::with_worker("").await;
    land.nimbus.running(PORT).await;
    let worker = land.options.secret.worker_token(&WORDS.into(), Default::default());
    for token in [Token::daemon(&Secret::none()), Token::new(&worker)] {
        let mut client = client(&land, token);
        let request = ReadFileRequest { name: worker_log(), ..Default::default() };
        let error = CallError::from(client.read_file(request).await.unwrap_err());
        assert_eq!(error.code, ErrorCode::NotAuthenticated);
    }
}
