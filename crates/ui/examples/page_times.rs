//! How long the server takes for pages of a large cluster: 200 topologies, 2,000 executors.
//!
//! `cargo run --release -p storm-ui --example page_times`. Over HTTP on this machine, one request after
//! the other, to a made-up cluster: what Nimbus takes for its answers is not in it.

#![expect(clippy::print_stdout, reason = "this is what the program is for")]

use std::error::Error;
use std::time::{Duration, Instant};

use storm_ui::seed::{Seed, SeedOptions};
use storm_ui::{App, Options, Server, Source as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Requests for each page.
const REQUESTS: usize = 50;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let seed = Seed::new(SeedOptions::large());
    let cluster = seed.cluster().await?;
    let executors: u32 = cluster.topologies.iter().map(|topology| topology.executors_total).sum();
    println!(
        "{} topologies, {executors} executors; milliseconds of {REQUESTS} requests",
        cluster.topologies.len()
    );
    let topology = cluster.topologies.iter().max_by_key(|topology| topology.executors_total);
    let id = topology.ok_or("the seed has no topology")?.id.clone();
    let app = App::new(seed, Options { port: 0, ..Options::default() });
    let server = Server::bind(&app).await?;
    let address = server.address();
    tokio::spawn(server.serve(app, std::future::pending()));
    println!("{:<44} {:>8} {:>8} {:>8} {:>8}", "page", "min", "median", "max", "kB");
    let paths = [
        "/".to_owned(),
        format!("/topology/{id}"),
        "/api/v1/cluster/summary".to_owned(),
        "/api/v1/topology/summary".to_owned(),
        format!("/api/v1/topology/{id}"),
    ];
    for path in paths {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..REQUESTS {
            let (took, length) = get(&address.to_string(), &path).await?;
            times.push(took);
            bytes = length;
        }
        times.sort_unstable();
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let (min, median, max) = (times[0], times[REQUESTS / 2], times[REQUESTS - 1]);
        let [min, median, max] = [min, median, max].map(millis);
        println!("{path:<44} {min:>8.2} {median:>8.2} {max:>8.2} {:>8}", bytes / 1000);
    }
    Ok(())
}

/// Asks for a page; how long it took until all of it was there, and its bytes.
async fn get(address: &str, path: &str) -> Result<(Duration, usize), Box<dyn Error>> {
    let started = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        let start: Vec<u8> = answer.iter().copied().take(80).collect();
        return Err(format!("{path}: {}", String::from_utf8_lossy(&start)).into());
    }
    Ok((started.elapsed(), answer.len()))
}
