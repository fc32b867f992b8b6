//! Compiles `proto/`, the control plane's contract, without a protoc.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", proto.display());
    let files =
        ["cluster.proto", "logs.proto", "supervisor.proto", "nimbus.proto"].map(|name| proto.join(name));
    let descriptors = protox::compile(files, [&proto])?;
    tonic_prost_build::configure()
        // Chunks of blobs and figures are handed on as they are.
        .bytes(".storm_rs.v1.BlobChunk.data")
        .bytes(".storm_rs.v1.WorkerReport.figures")
        .bytes(".storm_rs.v1.KeptFigures.data")
        .compile_fds(descriptors)?;
    Ok(())
}
