//! The log files that a Nimbus serves: its own.

use std::fs;

use storm_rpc::client::{self, Token};
use storm_rpc::v1::{ListFilesRequest, LogPlace, ReadFileRequest, SearchFilesRequest};
use storm_rpc::{CallError, ErrorCode, Secret};

use crate::common::{Nimbus, SECRET, SOON, Zoo};

#[tokio::test]
async fn a_nimbus_serves_its_own_log() {
    let zoo = Zoo::start().await;
    let directory = zoo.directory.path();
    let log_dir = directory.join("n/logs");
    fs::create_dir_all(&log_dir).unwrap();
    fs::write(log_dir.join("nimbus.log"), "one\ntwo\n").unwrap();
    fs::write(directory.join("n/secret"), "secret").unwrap();
    let nimbus = Nimbus::start_with(zoo.address(), &directory.join("n"), |options| {
        options.log_dir = log_dir.clone();
    })
    .await;
    let address = format!("127.0.0.1:{}", nimbus.port);
    let mut logs = client::logs(&address, Token::daemon(&Secret::new(SECRET))).unwrap();
    let own = || Some(LogPlace { is_daemon: true, ..Default::default() });
    let listed = logs.list_files(ListFilesRequest { place: own() }).await.unwrap().into_inner();
    assert_eq!((listed.files.len(), listed.files[0].name.as_str()), (1, "nimbus.log"));

    let read = |name: &str| ReadFileRequest { is_daemon: true, name: name.into(), ..Default::default() };
    let followed = ReadFileRequest { start: -4, follow: true, ..read("nimbus.log") };
    let mut stream = logs.read_file(followed).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().data, b"two\n");
    let mut log = fs::OpenOptions::new().append(true).open(log_dir.join("nimbus.log")).unwrap();
    std::io::Write::write_all(&mut log, b"three\n").unwrap();
    let more = tokio::time::timeout(SOON, stream.message()).await.unwrap().unwrap().unwrap();
    assert_eq!((more.offset, more.data.as_slice()), (8, &b"three\n"[..]));
    drop(stream);

    let request = SearchFilesRequest { place: own(), text: "t".to_owned(), ..Default::default() };
    let found = logs.search_files(request).await.unwrap().into_inner();
    assert_eq!(found.files[0].matches.iter().map(|found| found.offset).collect::<Vec<_>>(), [4, 8]);

    let error = CallError::from(logs.read_file(read("../secret")).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::Invalid);
    let error = CallError::from(logs.list_files(ListFilesRequest::default()).await.unwrap_err());
    assert_eq!(error.message, "this daemon has no logs of workers");
    let mut stranger = client::logs(&address, Token::daemon(&Secret::new("another"))).unwrap();
    let error = CallError::from(stranger.read_file(read("nimbus.log")).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::NotAuthenticated);
    nimbus.stop().await;
}
