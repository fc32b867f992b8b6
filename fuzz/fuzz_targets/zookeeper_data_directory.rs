//! Any files in the data directory of the development server: they are refused as damaged, or the
//! server starts, and starts again from what it left there.
#![no_main]

mod jute;

use std::fs;
use std::path::Path;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use storm_dev_zookeeper::{DataError, Options, Server, ServerError};
use tokio::runtime::{Builder, Runtime};

/// Changes and their fields, as letters of [`jute::fields`].
const CHANGES: [(i32, &str); 7] =
    [(1, "svk"), (2, "s"), (3, "pdas"), (4, "p"), (5, "pd"), (6, "pa"), (7, "l")];

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("there are threads");
}

fuzz_target!(|bytes: &[u8]| {
    let mut u = Unstructured::new(bytes);
    let dir = tempfile::tempdir().expect("there is room");
    // An error: nothing is left to draw from.
    if fill(dir.path(), &mut u).is_err() {
        return;
    }
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            match start(dir.path()).await {
                Ok(()) => start(dir.path()).await.expect("it has started before"),
                Err(ServerError::Data(DataError::Damaged { .. })) => {}
                Err(error) => panic!("{error}"),
            }
        });
    });
});

async fn start(dir: &Path) -> std::result::Result<(), ServerError> {
    let tick = Duration::from_secs(3600);
    let options = Options { data_dir: Some(dir.to_owned()), tick, ..Options::default() };
    let server = Server::start(options).await?;
    server.stop().await
}

fn fill(dir: &Path, u: &mut Unstructured<'_>) -> Result<()> {
    let generation = u.int_in_range(0..=1)?;
    if generation == 1 {
        let mut state = Vec::new();
        snapshot(u, &mut state)?;
        let mut file = [b"srszksn1", &crc32fast::hash(&state).to_be_bytes()[..], &state].concat();
        jute::mangle(u, &mut file)?;
        write(dir, "snapshot.1", &file);
    }
    let mut file = b"srszklg1".to_vec();
    let mut zxid = 20;
    for _ in 0..u.int_in_range(0..=4)? {
        let mut payload = Vec::new();
        jute::vector(u, 3, &mut payload, |u, out| {
            zxid += u.int_in_range(0..=10)?;
            jute::long(zxid, out);
            jute::fields("l", u, out)?;
            jute::vector(u, 4, out, |u, out| {
                let (kind, shape) = *u.choose(&CHANGES)?;
                jute::int(kind, out);
                jute::fields(shape, u, out)
            })
        })?;
        jute::mangle(u, &mut payload)?;
        record(&payload, &mut file);
    }
    jute::mangle(u, &mut file)?;
    file.extend_from_slice(u.bytes(u.len().min(20))?);
    write(dir, &format!("log.{generation}"), &file);
    Ok(())
}

/// The drawing is in the module `journal::format` of the server.
fn record(payload: &[u8], file: &mut Vec<u8>) {
    let checksum = crc32fast::hash(&[&(file.len() as u64).to_be_bytes(), payload].concat());
    file.extend_from_slice(b"txns");
    file.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    file.extend_from_slice(&checksum.to_be_bytes());
    file.extend_from_slice(payload);
}

fn snapshot(u: &mut Unstructured<'_>, out: &mut Vec<u8>) -> Result<()> {
    jute::fields("ll", u, out)?;
    jute::vector(u, 3, out, |u, out| jute::fields("svk", u, out))?;
    let mut nodes = Vec::new();
    let count = u.int_in_range(0..=6)?;
    for _ in 0..count {
        jute::fields("pdasllllvvvl", u, &mut nodes)?;
    }
    // Without a root no other node has a parent.
    jute::int(count + 1, out);
    jute::text("/", out);
    jute::fields("dasllllvvvl", u, out)?;
    out.extend_from_slice(&nodes);
    Ok(())
}

fn write(dir: &Path, name: &str, content: &[u8]) {
    fs::write(dir.join(name), content).expect("there is room");
}
