//! `cargo xtask demo`: plays docs/demo.md on a Docker engine, and checks at each step what is to be seen.
//!
//! Modules in reading order: what can go wrong; what is told and kept; programs that are run; compose and
//! Docker; images that stand in for those of a registry; the REST interface; the cluster as it is seen from
//! outside; the steps.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

mod error;
mod story;
mod programs;
mod compose;
mod images;
mod http;
mod cluster;
mod steps;

use compose::Compose;
use error::DemoError;
use story::Story;

/// Port of the pages, unless somebody has it already.
const UI_PORT: u16 = 8080;
/// The variable that docker-compose.yml reads for it.
const UI_PORT_VARIABLE: &str = "STORM_UI_PORT";

/// What the demo is to do.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Make the images that it builds on from what this machine has, where they are missing
    ///
    /// Debian's with debootstrap, Rust's from the toolchain that runs this, ZooKeeper's from Debian's package.
    /// They are tagged as the real ones, so that Dockerfile and docker-compose.yml stay as they are. Root only.
    #[arg(long)]
    local_images: bool,
    /// Use the images as they are
    #[arg(long, conflicts_with = "local_images")]
    no_build: bool,
    /// Three ZooKeepers instead of one: docker/three-zookeepers.yml
    #[arg(long)]
    three_zookeepers: bool,
    /// Leave the cluster running, whatever happens
    #[arg(long)]
    keep: bool,
    /// Name of the project for compose. Whatever has it already is removed
    #[arg(long, value_name = "NAME", default_value = "storm-rs-demo")]
    project: String,
    /// Write what is told into this file, too
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
}

/// Plays the demo, and removes it.
pub(crate) fn run(options: &Options, root: &Path) -> Result<(), DemoError> {
    programs::heed_interrupts()?;
    let mut story = Story::default();
    let told = play(options, root, &mut story);
    if let Some(path) = &options.transcript {
        fs::write(path, story.text())
            .map_err(|error| DemoError::Io { what: format!("write {}", path.display()), error })?;
    }
    told
}

fn play(options: &Options, root: &Path, story: &mut Story) -> Result<(), DemoError> {
    let mut files = vec!["docker-compose.yml"];
    if options.three_zookeepers {
        files.push("docker/three-zookeepers.yml");
    }
    let port = ui_port()?;
    let compose = Compose::find(root, &options.project, &files, port)?;
    if options.local_images {
        images::stand_in(root, story)?;
    }
    if !options.no_build {
        images::build_ours(&compose, root, story)?;
    }
    // What an earlier run has left.
    compose.remove()?;
    let played = steps::play(&compose, port, story);
    if let Err(error) = &played {
        story.tell(&format!("failed: {error}"));
        story.tell(&compose.last_words());
    }
    if options.keep {
        let down = compose.people(&["down", "-v"]);
        story.tell(&format!("kept: http://127.0.0.1:{port}/; `{down}` ends it"));
        return played;
    }
    let removed = compose.remove();
    played.and(removed)
}

/// The port that the environment names; else the usual one, or one that is free.
fn ui_port() -> Result<u16, DemoError> {
    if let Ok(text) = std::env::var(UI_PORT_VARIABLE) {
        return text.parse().map_err(|_| DemoError::Port { variable: UI_PORT_VARIABLE, text });
    }
    let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = listen(UI_PORT).or_else(|_| listen(0));
    let port = listener.and_then(|listener| listener.local_addr()).map(|address| address.port());
    port.map_err(|error| DemoError::Io { what: "find a free port".to_owned(), error })
}
