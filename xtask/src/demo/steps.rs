//! The steps. Each does what its title says, by commands that people would type, and then looks until what is
//! to be seen is there: through the REST interface of the pages, and with the command line in a container.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cluster::{self, Overview, Running};
use super::compose::{Compose, docker};
use super::error::DemoError;
use super::http;
use super::programs;
use super::story::Story;

/// Whatever is waited for is there after seconds; on a machine that is busy it takes longer.
const WITHIN: Duration = Duration::from_secs(120);
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Tuples that have to come after something has gone before it counts as gone well: more than are under way.
const MORE: u64 = 500;

/// The topology of the demo, and what it is made of.
const NAME: &str = "exclamation";
const BINARY: &str = "examples/exclamation";
const EXECUTORS: u64 = 15;
const TASKS: u64 = 18;

/// Plays all steps on a cluster that does not run yet.
pub(super) fn play(compose: &Compose, port: u16, story: &mut Story) -> Result<(), DemoError> {
    let begun = Instant::now();
    let mut play = Play { compose, port, story };
    play.up()?;
    play.submit_with_three_workers()?;
    play.submit_with_six_workers()?;
    play.rebalance_to_six_workers()?;
    play.rebalance_executors()?;
    play.add_a_supervisor()?;
    play.stop_a_supervisor()?;
    play.stop_the_leader()?;
    play.restart_zookeeper()?;
    play.read_logs()?;
    play.kill()?;
    play.down()?;
    play.story.tell(&format!("\nplayed in {} s", begun.elapsed().as_secs()));
    Ok(())
}

struct Play<'a> {
    compose: &'a Compose,
    port: u16,
    story: &'a mut Story,
}

// === The steps ===

impl Play<'_> {
    fn up(&mut self) -> Result<(), DemoError> {
        let pages = format!(
            "http://127.0.0.1:{}/: two Nimbuses, one leads; two supervisors, eight free slots",
            self.port
        );
        self.story.step("Start the cluster", &pages);
        self.run(&["up", "-d"])?;
        self.slots(8, &[0, 0], 0, 0)?;
        self.two_nimbuses()?;
        self.all_healthy()?;
        let listed = self.cli(&["list"])?;
        self.sure("`list` knows no topology", listed.contains("no topolog"), &listed)
    }

    fn submit_with_three_workers(&mut self) -> Result<(), DemoError> {
        let look = "three of the eight slots are used, on both supervisors; 15 executors, 18 tasks";
        self.story.step("Submit exclamation with three workers", look);
        self.submit(3)?;
        self.slots(8, &[1, 2], EXECUTORS, TASKS)?;
        self.flows(3)?;
        self.listed(3, EXECUTORS)
    }

    fn submit_with_six_workers(&mut self) -> Result<(), DemoError> {
        let look = "the slots are free again; then three are used on each supervisor";
        self.story.step("Kill it, and submit it with six workers", look);
        self.kill_topology()?;
        self.slots(8, &[0, 0], 0, 0)?;
        self.submit(6)?;
        self.slots(8, &[3, 3], EXECUTORS, TASKS)?;
        self.flows(6)?;
        self.listed(6, EXECUTORS)
    }

    fn rebalance_to_six_workers(&mut self) -> Result<(), DemoError> {
        let look = "three workers become six while tuples flow";
        self.story.step("Kill it, submit it with three workers, and rebalance it to six", look);
        self.kill_topology()?;
        self.submit(3)?;
        self.slots(8, &[1, 2], EXECUTORS, TASKS)?;
        self.cli(&["rebalance", NAME, "-n", "6", "--wait"])?;
        self.slots(8, &[3, 3], EXECUTORS, TASKS)?;
        self.flows(6)?;
        self.listed(6, EXECUTORS)
    }

    fn rebalance_executors(&mut self) -> Result<(), DemoError> {
        let look = "exclaim1 has six executors instead of three, one for each of its tasks; 18 in all";
        self.story.step("Rebalance exclaim1 to six executors", look);
        self.cli(&["rebalance", NAME, "-e", "exclaim1=6", "--wait"])?;
        self.slots(8, &[3, 3], EXECUTORS + 3, TASKS)?;
        self.flows(6)?;
        self.listed(6, EXECUTORS + 3)
    }

    fn add_a_supervisor(&mut self) -> Result<(), DemoError> {
        let look = "a third supervisor with four free slots; after the rebalance two workers on each";
        self.story.step("Add a supervisor, and rebalance onto it", look);
        self.run(&["up", "-d", "--scale", "supervisor=3"])?;
        self.slots(12, &[0, 3, 3], EXECUTORS + 3, TASKS)?;
        self.cli(&["rebalance", NAME, "--wait"])?;
        self.slots(12, &[2, 2, 2], EXECUTORS + 3, TASKS)?;
        self.flows(6)
    }

    fn stop_a_supervisor(&mut self) -> Result<(), DemoError> {
        let look = "the supervisor is gone, and its two workers run on the others";
        self.story.step("Stop the container of a supervisor", look);
        let container = self.container_with_work()?;
        self.story.command(&format!("docker stop {container}"));
        docker(&["stop", &container])?;
        let code = docker(&["inspect", "--format", "{{.State.ExitCode}}", &container])?;
        self.sure("it ended in good order: exit code 0", code == "0", &code)?;
        self.slots(8, &[3, 3], EXECUTORS + 3, TASKS)?;
        self.flows(6)?;
        self.story.command(&format!("docker start {container}"));
        docker(&["start", &container])?;
        self.slots(12, &[0, 3, 3], EXECUTORS + 3, TASKS)
    }

    fn stop_the_leader(&mut self) -> Result<(), DemoError> {
        let look = "the other Nimbus leads; the workers are the same, and tuples flow all the time";
        self.story.step("Stop the Nimbus that leads", look);
        let before = self.running()?;
        let leader = self.see("a Nimbus that leads", cluster::leader)?;
        self.run(&["stop", &leader])?;
        let other = self.see("the other Nimbus leads", |port| {
            let now = cluster::leader(port)?;
            if now == leader { Err(format!("{now} leads")) } else { Ok(now) }
        })?;
        self.story.seen(&format!("{leader} is away, {other} leads"));
        self.same_workers(&before)?;
        self.listed(6, EXECUTORS + 3)?;
        self.run(&["start", &leader])?;
        self.two_nimbuses()
    }

    fn restart_zookeeper(&mut self) -> Result<(), DemoError> {
        let look = "nothing stops: the same workers, and tuples flow all the time";
        self.story.step("Restart ZooKeeper", look);
        let before = self.running()?;
        self.run(&["restart", "zookeeper"])?;
        self.same_workers(&before)?;
        self.two_nimbuses()?;
        self.all_healthy()?;
        let healthy = self.cli(&["health"])?;
        self.sure("`health` finds nothing wrong", !healthy.contains("not healthy"), &healthy)
    }

    fn read_logs(&mut self) -> Result<(), DemoError> {
        let look =
            "lines of workers in all the containers: on the command line, and on the page of each worker";
        self.story.step("Read the logs of workers in other containers", look);
        let said = self.cli(&["logs", NAME, "--grep", "!!!!!!", "--tail", "3"])?;
        self.sure("`logs` shows what bolts printed", said.contains("!!!!!!"), &said)?;
        let running = self.running()?;
        for (host, link) in &running.logs {
            let path = http::path_of(link).to_owned();
            let shown = self.see("the log of a worker", |port| {
                let page = http::get(port, &path)?;
                if page.contains(NAME) { Ok(page.len()) } else { Err(format!("{path}: {page}")) }
            })?;
            self.story.seen(&format!("the pages show the log of a worker on {host}: {path} ({shown} bytes)"));
        }
        let found = self.see("a word in the logs", |port| {
            let path = format!("/api/v1/deepSearch/{}?search-string=!!!!!!&num-matches=1", running.id);
            let found: Value =
                serde_json::from_str(&http::get(port, &path)?).map_err(|error| error.to_string())?;
            let matches = cluster::list(&found, "matches")?.len();
            if matches == 0 { Err(format!("nothing found: {found}")) } else { Ok(matches) }
        })?;
        self.story.seen(&format!("a search through all its logs finds it in {found} of them"));
        Ok(())
    }

    fn kill(&mut self) -> Result<(), DemoError> {
        self.story.step("Kill the topology", "all slots are free");
        self.kill_topology()?;
        self.slots(12, &[0, 0, 0], 0, 0)?;
        let listed = self.cli(&["list"])?;
        self.sure("`list` knows no topology", listed.contains("no topolog"), &listed)
    }

    fn down(&mut self) -> Result<(), DemoError> {
        self.story.step("End the cluster", "nothing is left: no container, no volume, no network");
        self.story.command(&self.compose.people(&["down", "-v"]));
        let volumes = self.compose.volumes()?;
        self.compose.remove()?;
        let remains = self.compose.remains(&volumes)?;
        self.sure("nothing is left", remains.is_empty(), &remains.join(", "))
    }
}

// === What they are made of ===

impl Play<'_> {
    /// Runs compose.
    fn run(&mut self, arguments: &[&str]) -> Result<(), DemoError> {
        self.story.command(&self.compose.people(arguments));
        self.compose.run(arguments).map(drop)
    }

    /// Runs a command in a container of its own, before people's eyes.
    fn cli(&mut self, arguments: &[&str]) -> Result<String, DemoError> {
        self.story.command(&self.compose.people(&[&["run", "--rm", "cli"], arguments].concat()));
        let said = self.ask_cli(arguments)?;
        self.story.output(&said);
        Ok(said)
    }

    /// There is no terminal here, which compose expects.
    fn ask_cli(&self, arguments: &[&str]) -> Result<String, DemoError> {
        self.compose.run(&[&["run", "--rm", "-T", "cli"], arguments].concat())
    }

    fn submit(&mut self, workers: u64) -> Result<(), DemoError> {
        self.cli(&["submit", BINARY, "-c", &format!("topology.workers={workers}"), "--wait"]).map(drop)
    }

    fn kill_topology(&mut self) -> Result<(), DemoError> {
        self.cli(&["kill", NAME, "--wait"]).map(drop)
    }

    /// Looks until it is so.
    fn see<T>(&self, what: &str, look: impl Fn(u16) -> Result<T, String>) -> Result<T, DemoError> {
        let begun = Instant::now();
        loop {
            programs::check_interrupted()?;
            let last = match look(self.port) {
                Ok(seen) => return Ok(seen),
                Err(last) => last,
            };
            if begun.elapsed() >= WITHIN {
                return Err(DemoError::NotSeen { what: what.to_owned(), secs: WITHIN.as_secs(), last });
            }
            thread::park_timeout(LOOK_EVERY);
        }
    }

    /// What is there already.
    fn sure(&mut self, what: &str, is_so: bool, instead: &str) -> Result<(), DemoError> {
        if is_so {
            self.story.seen(what);
            return Ok(());
        }
        Err(DemoError::NotSeen { what: what.to_owned(), secs: 0, last: instead.to_owned() })
    }

    /// Until the cluster has so many slots, and each supervisor uses so many, the least first.
    fn slots(&mut self, total: u64, spread: &[u64], executors: u64, tasks: u64) -> Result<(), DemoError> {
        let topologies = u64::from(executors > 0);
        let what = format!("{total} slots, used {spread:?}, {executors} executors, {tasks} tasks");
        let begun = Instant::now();
        let seen = self.see(&what, |port| {
            let seen = Overview::ask(port)?;
            let numbers = [seen.slots_total, seen.executors, seen.tasks, seen.topologies];
            let is_so = numbers == [total, executors, tasks, topologies] && seen.spread() == spread;
            if is_so { Ok(seen) } else { Err(seen.people()) }
        })?;
        self.story.seen(&format!("{} (after {:.1} s)", seen.people(), begun.elapsed().as_secs_f64()));
        Ok(())
    }

    /// The topology, with all its workers running.
    fn running(&self) -> Result<Running, DemoError> {
        self.see("a topology that runs", Running::ask)
    }

    /// Until so many workers run, and tuples flow.
    fn flows(&mut self, workers: usize) -> Result<(), DemoError> {
        let mut first = None;
        let begun = Instant::now();
        let what = format!("{workers} workers, and tuples");
        let seen = loop {
            let seen = self.see(&what, |port| {
                let seen = Running::ask(port)?;
                if seen.workers.len() == workers { Ok(seen) } else { Err(format!("{:?}", seen.workers)) }
            })?;
            let first = *first.get_or_insert(seen.emitted);
            if seen.emitted >= first + MORE {
                break seen;
            }
            if begun.elapsed() >= WITHIN {
                let last = format!("{} tuples", seen.emitted);
                return Err(DemoError::NotSeen { what, secs: WITHIN.as_secs(), last });
            }
            thread::park_timeout(LOOK_EVERY);
        };
        let hosts = seen.hosts().len();
        self.story.seen(&format!(
            "{workers} workers run in {hosts} containers, and tuples flow; {} failed",
            seen.failed
        ));
        Ok(())
    }

    /// Until the same workers have done more, and lost nothing.
    fn same_workers(&mut self, before: &Running) -> Result<(), DemoError> {
        let more = self.see("the same workers go on", |port| {
            let now = Running::ask(port)?;
            let is_so = now.workers == before.workers && now.failed == before.failed;
            match now.emitted.checked_sub(before.emitted) {
                Some(more) if is_so && more >= MORE => Ok(more),
                _ => Err(format!("{now:?}, before it {before:?}")),
            }
        })?;
        self.story
            .seen(&format!("the same {} workers have emitted {more} tuples since", before.workers.len()));
        Ok(())
    }

    fn two_nimbuses(&mut self) -> Result<(), DemoError> {
        let seen = self.see("two Nimbuses, one of which leads", |port| {
            let seen = cluster::nimbuses(port)?;
            let is_so = seen.len() == 2 && seen.values().filter(|leads| **leads).count() == 1;
            if is_so { Ok(seen) } else { Err(format!("{seen:?}")) }
        })?;
        let words =
            |(host, leads): (String, bool)| format!("{host} {}", if leads { "leads" } else { "follows" });
        self.story.seen(&seen.into_iter().map(words).collect::<Vec<_>>().join(", "));
        Ok(())
    }

    /// Until the health checks of all containers succeed.
    fn all_healthy(&mut self) -> Result<(), DemoError> {
        let services = ["zookeeper", "nimbus-1", "nimbus-2", "supervisor", "ui"];
        let compose = self.compose;
        let count = self.see("all containers are healthy", |_| {
            let mut containers = Vec::new();
            for service in services {
                containers.extend(compose.containers(service).map_err(|error| error.to_string())?);
            }
            let format = "{{.Name}} {{.State.Health.Status}}";
            let ids = containers.iter().map(String::as_str);
            let asked = docker(&["inspect", "--format", format].into_iter().chain(ids).collect::<Vec<_>>());
            let states = asked.map_err(|error| error.to_string())?;
            if states.lines().all(|line| line.ends_with(" healthy")) {
                Ok(containers.len())
            } else {
                Err(states)
            }
        })?;
        self.story.seen(&format!("all {count} containers are healthy"));
        Ok(())
    }

    /// What the command line says of the topology, too.
    fn listed(&mut self, workers: u64, executors: u64) -> Result<(), DemoError> {
        let list = self.ask_cli(&["list", "--json"])?;
        let numbers = |list: &str| {
            let list: Value = serde_json::from_str(list).map_err(|error| error.to_string())?;
            let topology = cluster::list(&list, "topologies")?.first().ok_or("no topology")?;
            let fields = ["workersTotal", "executorsTotal", "tasksTotal"];
            fields
                .into_iter()
                .map(|field| cluster::number(topology, field))
                .collect::<Result<Vec<_>, String>>()
        };
        let is_so = numbers(&list).is_ok_and(|numbers| numbers == [workers, executors, TASKS]);
        let what = format!("`list` says so, too: {workers} workers, {executors} executors, {TASKS} tasks");
        self.sure(&what, is_so, &list)
    }

    /// The container of a supervisor that has workers. Its host is called by the beginning of its id.
    fn container_with_work(&self) -> Result<String, DemoError> {
        let containers = self.compose.containers("supervisor")?;
        let running = self.running()?;
        let hosts = running.hosts();
        let is_host = |id: &&String| hosts.iter().any(|host| id.starts_with(host));
        let found = containers.iter().find(is_host).and_then(|id| id.get(..12)).map(str::to_owned);
        let last = format!("containers {containers:?}, hosts {hosts:?}");
        let what = "a container with workers".to_owned();
        found.ok_or(DemoError::NotSeen { what, secs: 0, last })
    }
}
