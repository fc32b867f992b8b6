//! `submit`: describe, check, upload, start.

use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use storm_config::{Config, Origin, topology_layer};
use storm_model::{Status, TopologySpec, validate};
use storm_rpc::nimbus_client::command_id;
use storm_rpc::{CallError, ErrorCode, Nimbuses, blob, v1};

use super::wait;
use crate::args::{Common, Submit};
use crate::binary::{self, Description, Layers, Needs};
use crate::context::{Context, divide, invalid_config, user};
use crate::output;

/// How often the binary is uploaded at most: once for each leader that is lost meanwhile, and once more.
const UPLOADS: usize = 4;

pub(super) async fn run(common: &Common, args: &Submit) -> Result<(), CallError> {
    let (with_topology, set) = divide(&common.set);
    let context = Context::load(&Common { set, ..common.clone() })?;
    let above =
        topology_layer(args.conf.as_deref(), &with_topology).map_err(|errors| invalid_config(&errors))?;
    let layers = Layers { below: context.below_topology(), above };

    let needs = binary::needs(&args.binary)?;
    binary::check_runs_here(&args.binary, &needs)?;
    let description = binary::describe(&args.binary, &args.arguments, &layers).await?;
    let name = args.name.clone().unwrap_or_else(|| description.name.clone());
    check_name(&name)?;
    check_spec(&name, &description.spec)?;
    let notes = check_config(&context.config, &description.spec, &description.config)?;
    if !context.is_json {
        notes.iter().for_each(|note| output::note(note));
        if description.is_debug_build {
            output::note(
                "this is a debug build, many times slower; `cargo build --release` makes a fast one",
            );
        }
    }

    let nimbuses = context.nimbuses()?;
    let running = nimbuses.list_topologies().await?.topologies;
    if running.iter().any(|topology| topology.name == name) {
        return Err(CallError::name_taken(&name));
    }
    let supervisors = nimbuses.get_cluster().await?.supervisors;
    let unable = check_supervisors(&args.binary, &needs, &supervisors)?;
    if let Some(note) = unable.filter(|_| !context.is_json) {
        output::note(&note);
    }

    let path = args.binary.clone();
    let binary = tokio::task::spawn_blocking(move || blob::reference(&path)).await;
    let binary = binary
        .expect("reading a file does not panic")
        .map_err(|error| CallError::invalid(format!("cannot read {}: {error}", args.binary.display())))?;
    let request = request(args, &name, &needs, description, binary.clone());
    let mut reply = start(&nimbuses, &args.binary, &binary, &request, context.is_json).await?;
    if !context.is_json {
        // Nimbus finds some of it, too.
        reply.notes.retain(|note| !notes.contains(note));
    }
    let id = reply.topology_id.clone();
    if args.wait.wait {
        let wanted = if args.inactive { Status::Inactive } else { Status::Active };
        wait::settled(&nimbuses, args.wait, context.is_json, &id, wanted).await?;
    }
    super::accepted(&context, reply, &format!("submitted {name} as {id}"));
    Ok(())
}

fn request(
    args: &Submit,
    name: &str,
    needs: &Needs,
    description: Description,
    binary: v1::BlobRef,
) -> v1::SubmitRequest {
    let json = |value: serde_json::Result<Vec<u8>>| value.expect("plain data with text keys");
    let file_name = args.binary.file_name().unwrap_or(args.binary.as_os_str());
    v1::SubmitRequest {
        command_id: command_id(),
        name: name.to_owned(),
        binary: Some(binary),
        file_name: file_name.to_string_lossy().into_owned(),
        arguments: args.arguments.clone(),
        spec: json(serde_json::to_vec(&description.spec)),
        config: json(serde_json::to_vec(&description.config)),
        inactive: args.inactive,
        owner: user(),
        arch: needs.arch.clone(),
        glibc: needs.glibc.clone(),
        contract: description.contract,
        engine_version: description.engine_version,
    }
}

/// As in Storm: names are parts of paths and of ids.
fn check_name(name: &str) -> Result<(), CallError> {
    let is_bad = |c: char| matches!(c, '/' | '\\' | ':' | '.') || c.is_whitespace() || c.is_control();
    if !name.is_empty() && !name.contains(is_bad) {
        return Ok(());
    }
    Err(CallError::invalid(format!("'{name}' is not a name for a topology"))
        .advise("a name is not empty and has no space and none of / \\ : . ; --name gives another"))
}

/// Everything that is wrong with the topology, at once.
fn check_spec(name: &str, spec: &TopologySpec) -> Result<(), CallError> {
    let problems = validate::problems(spec);
    if problems.is_empty() {
        return Ok(());
    }
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Err(CallError::invalid(format!("topology '{name}': {}", problems.join("\n"))))
}

/// Checks the configuration as it will hold; gives what has no effect.
fn check_config(
    cluster: &Config,
    spec: &TopologySpec,
    submitted: &serde_json::Map<String, serde_json::Value>,
) -> Result<Vec<String>, CallError> {
    let code = spec.config.clone().into_iter().collect();
    let mut config = Config::defaults();
    let in_code = config.layer(&Origin::TopologyCode, &code);
    in_code
        .and_then(|()| config.layer(&Origin::Argument, submitted))
        .map_err(|errors| invalid_config(&errors))?;
    let unknown: Vec<_> = config
        .parallelism()
        .into_keys()
        .filter(|component| !spec.components.contains_key(component.as_str()))
        .map(|component| format!("topology.parallelism.{component}: there is no component '{component}'"))
        .collect();
    if !unknown.is_empty() {
        let known: Vec<_> = spec.components.keys().map(ToString::to_string).collect();
        return Err(CallError::invalid(unknown.join("\n")).advise(format!("there are: {}", known.join(", "))));
    }
    let most = cluster.get_count("nimbus.slots.perTopology").filter(|most| *most > 0);
    let workers = config.get_count("topology.workers").expect("a count with a default");
    if let Some(most) = most.filter(|most| workers > *most) {
        let message = format!("the topology asks for {workers} workers, the cluster allows {most}");
        return Err(CallError::invalid(message)
            .advise("lower 'topology.workers', or raise 'nimbus.slots.perTopology'"));
    }
    Ok(config.notes().iter().map(ToString::to_string).collect())
}

/// Refuses a binary that no supervisor can run; tells those that cannot where others can.
fn check_supervisors(
    path: &Path,
    needs: &Needs,
    supervisors: &[v1::SupervisorSummary],
) -> Result<Option<String>, CallError> {
    let fits = |supervisor: &&v1::SupervisorSummary| {
        (supervisor.arch.is_empty() || supervisor.arch == needs.arch)
            && binary::is_glibc_enough(&supervisor.glibc, &needs.glibc)
    };
    let (able, unable): (Vec<_>, Vec<_>) = supervisors.iter().partition(fits);
    let Some(first) = unable.first() else { return Ok(None) };
    if !able.is_empty() {
        let hosts: Vec<_> = unable.iter().map(|supervisor| supervisor.host.as_str()).collect();
        let hosts = hosts.join(", ");
        return Ok(Some(format!("the binary does not run on {hosts}: other architecture or older glibc")));
    }
    let shown = path.display();
    if first.arch != needs.arch {
        let message = format!("{shown} is built for {}, the supervisors are {}", needs.arch, first.arch);
        return Err(CallError::invalid(message).advise(format!("build it for {}", first.arch)));
    }
    let message = format!("{shown} needs glibc {}, the supervisors have {}", needs.glibc, first.glibc);
    Err(CallError::invalid(message).advise(
        "build it on a system as old as the supervisors', or for musl: `cargo build --release --target x86_64-unknown-linux-musl`",
    ))
}

/// Uploads and starts. The leader may be lost between the two, and with it the only copy: then the next
/// one gets it, too.
async fn start(
    nimbuses: &Nimbuses,
    path: &Path,
    binary: &v1::BlobRef,
    request: &v1::SubmitRequest,
    is_json: bool,
) -> Result<v1::CommandReply, CallError> {
    for _ in 1..UPLOADS {
        upload(nimbuses, path, binary, is_json).await?;
        match nimbuses.submit(request).await {
            Err(error) if error.code == ErrorCode::Invalid && !nimbuses.has_blob(binary).await? => {}
            answer => return answer,
        }
    }
    upload(nimbuses, path, binary, is_json).await?;
    nimbuses.submit(request).await
}

async fn upload(
    nimbuses: &Nimbuses,
    path: &Path,
    blob: &v1::BlobRef,
    is_json: bool,
) -> Result<(), CallError> {
    let bar = if is_json || !output::is_watched() {
        ProgressBar::hidden()
    } else {
        let bar = ProgressBar::with_draw_target(Some(blob.size), ProgressDrawTarget::stderr());
        let template = "uploading {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
        bar.set_style(ProgressStyle::with_template(template).expect("a template that is tested"));
        bar
    };
    let progress = bar.clone();
    let uploaded = nimbuses.upload(path, blob, move |sent| progress.set_position(sent)).await;
    bar.finish_and_clear();
    uploaded.map(drop)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn supervisor(arch: &str, glibc: &str) -> v1::SupervisorSummary {
        v1::SupervisorSummary {
            host: "h".into(),
            arch: arch.into(),
            glibc: glibc.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_binary_that_nobody_can_run_is_refused() {
        let needs = Needs { arch: "x86_64".into(), glibc: "2.34".into() };
        let check = |supervisors: &[_]| match check_supervisors(Path::new("bin"), &needs, supervisors) {
            Ok(note) => note,
            Err(error) => Some(error.message),
        };
        assert_eq!(check(&[]), None);
        assert_eq!(check(&[supervisor("x86_64", "2.36")]), None);
        let told = [
            check(&[supervisor("x86_64", "2.28"), supervisor("x86_64", "2.36")]),
            check(&[supervisor("x86_64", "2.28")]),
            check(&[supervisor("aarch64", "2.36")]),
        ];
        expect![[r#"
            [
                Some(
                    "the binary does not run on h: other architecture or older glibc",
                ),
                Some(
                    "bin needs glibc 2.34, the supervisors have 2.28",
                ),
                Some(
                    "bin is built for x86_64, the supervisors are aarch64",
                ),
            ]
        "#]]
        .assert_debug_eq(&told);
    }

    #[test]
    fn names_are_parts_of_paths() {
        for bad in ["", "a/b", "a.b", "a b", "a:b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        check_name("word-count_2").unwrap();
    }

    #[test]
    fn the_whole_configuration_is_checked() {
        let mut spec = TopologySpec::default();
        let map = |json: serde_json::Value| json.as_object().cloned().unwrap();
        let submitted = map(serde_json::json!({"topology.workers": 5, "topology.parallelism.x": 2}));
        let error = check_config(&Config::defaults(), &spec, &submitted).unwrap_err();
        assert_eq!(error.message, "topology.parallelism.x: there is no component 'x'");

        let mut cluster = Config::defaults();
        cluster.layer_arguments(["nimbus.slots.perTopology=4"]).unwrap();
        let submitted = map(serde_json::json!({"topology.workers": 5}));
        let error = check_config(&cluster, &spec, &submitted).unwrap_err();
        assert_eq!(error.message, "the topology asks for 5 workers, the cluster allows 4");

        spec.config.insert("topology.worker.childopts".into(), "x".into());
        assert_eq!(check_config(&Config::defaults(), &spec, &submitted).unwrap().len(), 1);
        spec.config.insert("topology.wrokers".into(), 1.into());
        assert!(check_config(&Config::defaults(), &spec, &submitted).is_err());
    }
}
