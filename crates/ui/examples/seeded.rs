//! Serves the pages of a made-up cluster: `cargo run -p storm-ui --example seeded -- 8080 large`.
//! Sizes are small, large (200 topologies), wide (2,000 executors in each of two) and one between.

use std::net::SocketAddr;

use storm_ui::seed::{Seed, SeedOptions};
use storm_ui::{App, Options, Shared, router};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().map_or(Ok(8080), |port| port.parse())?;
    let seed = match arguments.next().as_deref() {
        Some("small") => SeedOptions::small(),
        Some("large") => SeedOptions::large(),
        Some("wide") => {
            SeedOptions { topologies: 2, executors: 2000, supervisors: 60, ..SeedOptions::large() }
        }
        _ => SeedOptions::default(),
    };
    let options = Options { port, ..Options::default() };
    let app = App::new(Shared::new(Seed::new(seed)), options);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, service).await?)
}
