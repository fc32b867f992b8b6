use storm_figures::Window;

use super::*;

#[tokio::test]
async fn the_same_number_is_the_same_cluster() {
    let (a, b) = (Seed::new(SeedOptions::default()), Seed::new(SeedOptions::default()));
    let (a, b) = (a.cluster().await.unwrap(), b.cluster().await.unwrap());
    assert_eq!((&a.cluster, &a.topologies), (&b.cluster, &b.topologies));
}

#[tokio::test]
async fn it_has_every_state_and_something_unplaced() {
    let seed = Seed::new(SeedOptions::default());
    let cluster = seed.cluster().await.unwrap();
    for state in 1..=4 {
        assert!(
            cluster.topologies.iter().any(|topology| topology.status == state),
            "no topology in state {state}"
        );
    }
    assert!(cluster.topologies.iter().any(|topology| topology.unplaced_executors > 0));
    assert!(cluster.cluster.supervisors.iter().any(|supervisor| supervisor.is_silent));
}

#[tokio::test]
async fn figures_add_up() {
    let seed = Seed::new(SeedOptions::small());
    for name in ["word-count", "fraud-detection", "nightly-report"] {
        let view = seed.topology(name).await.unwrap();
        assert_eq!(view.trend.points.len(), 180);
        for component in &view.figures.components {
            for window in Window::ALL {
                let of =
                    |figures: &storm_figures::Figures| (figures.emitted, figures.executed, figures.acked);
                let executors = component.executors.iter().map(|executor| of(&executor.figures[window]));
                let sum = executors.fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
                assert_eq!(of(&component.figures[window]), sum, "{name} {}", component.component);
            }
        }
    }
}

#[tokio::test]
async fn commands_change_what_is_told() {
    let seed = Seed::new(SeedOptions::small());
    let name = "word-count".to_owned();
    let kill = v1::KillRequest { name: name.clone(), wait_secs: Some(5), ..Default::default() };
    seed.command(Command::Kill(kill)).await.unwrap();
    assert_eq!(seed.topology(&name).await.unwrap().summary().status(), v1::TopologyState::Killed);
    let activate = v1::TopologyCommand { name, ..Default::default() };
    let error = seed.command(Command::Activate(activate)).await.unwrap_err();
    assert_eq!(error.to_string(), "topology 'word-count' is being killed");
    assert_eq!(seed.commands().len(), 2);
}

#[tokio::test]
async fn logs_can_be_listed_read_and_searched() {
    use futures_util::TryStreamExt as _;
    let seed = Seed::new(SeedOptions::small());
    let worker = seed.topology("word-count").await.unwrap().status.workers[0].clone();
    let address = format!("{}:6628", worker.host);
    let files = seed.list_files(&address, v1::ListFilesRequest::default()).await.unwrap();
    let place = v1::LogPlace { topology: "word-count".to_owned(), port: worker.port, ..Default::default() };
    let of_worker = v1::ListFilesRequest { place: Some(place.clone()) };
    let of_worker = seed.list_files(&address, of_worker).await.unwrap();
    assert!(of_worker.len() == 2 && files.len() > 2);
    let request = v1::ReadFileRequest { name: of_worker[0].name.clone(), start: -100, ..Default::default() };
    let bytes: Vec<_> = seed.read_file(&address, request).await.unwrap().try_collect().await.unwrap();
    assert_eq!((bytes[0].data.len(), bytes[0].offset), (100, of_worker[0].size - 100));
    let request =
        v1::SearchFilesRequest { place: Some(place), text: "WARN".to_owned(), ..Default::default() };
    let found = seed.search_files(&address, request).await.unwrap();
    assert_eq!(found.files.iter().map(|file| file.matches.len()).sum::<usize>(), 10);
    assert!(found.next_start.is_some());
}
