//! Compose, by either of its names, and Docker itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::error::DemoError;
use super::programs;
use super::{UI_PORT_VARIABLE, story::Story};

/// Whatever compose does but building: images may have to be pulled.
const WITHIN: Duration = Duration::from_secs(600);
/// A question to the engine.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A build from nothing on a slow machine.
const BUILD_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// What the user may have set for a project of their own.
const OTHERS: &[&str] =
    &["COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "STORM_UI_ADDRESS", "STORM_UI_HOSTS"];

/// The demo as a project of compose.
#[derive(Debug)]
pub(super) struct Compose {
    /// The words before the arguments.
    program: &'static [&'static str],
    root: PathBuf,
    project: String,
    files: Vec<String>,
    port: u16,
}

impl Compose {
    /// Finds engine and compose.
    pub(super) fn find(root: &Path, project: &str, files: &[&str], port: u16) -> Result<Compose, DemoError> {
        let asked = docker(&["version", "--format", "{{.Server.Version}}"]);
        asked.map_err(|error| DemoError::NoEngine(error.to_string()))?;
        let program = PROGRAMS.iter().find(|program| is_there(program)).ok_or(DemoError::NoCompose)?;
        let (root, project) = (root.to_owned(), project.to_owned());
        let files = files.iter().map(|&file| file.to_owned()).collect();
        Ok(Compose { program, root, project, files, port })
    }

    /// A command as people would type it, who leave out what this run has of its own.
    pub(super) fn people(&self, arguments: &[&str]) -> String {
        [self.program, arguments].concat().join(" ")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let [program, first @ ..] = self.program else { unreachable!("no program is nameless") };
        let mut command = Command::new(program);
        command.args(first).args(["-p", &self.project]).current_dir(&self.root);
        for file in &self.files {
            command.args(["-f", file]);
        }
        for variable in OTHERS {
            command.env_remove(variable);
        }
        command.env(UI_PORT_VARIABLE, self.port.to_string());
        command.args(arguments);
        command
    }

    /// Runs a command and gives its output.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String, DemoError> {
        programs::run(&mut self.command(arguments), WITHIN)
    }

    /// Builds the image of a service, before people's eyes.
    pub(super) fn build(&self, service: &str, story: &mut Story) -> Result<(), DemoError> {
        let revision = format!("REVISION={}", revision(&self.root));
        let arguments = ["build", "--build-arg", &revision, service];
        story.command(&self.people(&arguments));
        programs::show(&mut self.command(&arguments), BUILD_WITHIN)
    }

    /// The containers of a service.
    pub(super) fn containers(&self, service: &str) -> Result<Vec<String>, DemoError> {
        let said = self.run(&["ps", "-q", service])?;
        Ok(said.split_whitespace().map(str::to_owned).collect())
    }

    /// Removes containers, networks and volumes.
    pub(super) fn remove(&self) -> Result<(), DemoError> {
        self.run(&["--profile", "cli", "down", "-v", "--remove-orphans"]).map(drop)
    }

    /// The volumes of all containers, those without a name included.
    pub(super) fn volumes(&self) -> Result<BTreeSet<String>, DemoError> {
        let containers = docker(&["ps", "-aq", "--filter", &self.label()])?;
        let format = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}} {{end}}{{end}}";
        let inspect = ["inspect", "--format", format].into_iter().chain(containers.split_whitespace());
        let volumes = docker(&inspect.collect::<Vec<_>>())?;
        Ok(volumes.split_whitespace().map(str::to_owned).collect())
    }

    /// What is still there: containers, networks and these volumes.
    pub(super) fn remains(&self, volumes: &BTreeSet<String>) -> Result<Vec<String>, DemoError> {
        let containers = docker(&["ps", "-aq", "--filter", &self.label()])?;
        let networks = docker(&["network", "ls", "-q", "--filter", &self.label()])?;
        let all_volumes = docker(&["volume", "ls", "-q"])?;
        let volumes = all_volumes.split_whitespace().filter(|name| volumes.contains(*name));
        let remains = containers.split_whitespace().chain(networks.split_whitespace()).chain(volumes);
        Ok(remains.map(str::to_owned).collect())
    }

    fn label(&self) -> String {
        format!("label=com.docker.compose.project={}", self.project)
    }

    /// The end of all logs, and the state of all containers.
    pub(super) fn last_words(&self) -> String {
        let words = [&["ps"][..], &["logs", "--no-color", "--tail", "10"]]
            .map(|arguments| self.run(arguments).unwrap_or_else(|error| error.to_string()));
        words.concat()
    }
}

/// Of our code; it becomes a label of the image.
fn revision(root: &Path) -> String {
    let mut git = Command::new("git");
    git.current_dir(root).args(["describe", "--always", "--dirty"]);
    let said = programs::run(&mut git, ANSWER_WITHIN);
    said.map_or_else(|_| "unknown".to_owned(), |said| said.trim().to_owned())
}

/// By either name it reads docker-compose.yml.
const PROGRAMS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

fn is_there(program: &[&str]) -> bool {
    let mut command = Command::new(program[0]);
    programs::run(command.args(&program[1..]).arg("version"), ANSWER_WITHIN).is_ok()
}

/// Asks the engine.
pub(super) fn docker(arguments: &[&str]) -> Result<String, DemoError> {
    let said = programs::run(Command::new("docker").args(arguments), WITHIN)?;
    Ok(said.trim().to_owned())
}
