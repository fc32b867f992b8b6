//! What a supervisor keeps of the figures of its workers.

use nix::sys::signal::Signal;
use storm_figures::{Keeper, Window};
use storm_model::Time;

use crate::land::{Land, PORT, WORDS, signal};

/// All that the topology has emitted, as a new leader hears it; none where nothing is kept of it.
async fn emitted(land: &Land) -> Option<u64> {
    let kept = land.nimbus.kept_figures().await;
    let now = Time::from_secs(10_000_000);
    let keeper = Keeper::from_portable(now, kept.get(WORDS)?).unwrap();
    Some(keeper.report(now).stats(Window::AllTime).emitted)
}

async fn until_emitted(land: &Land, wanted: Option<u64>) {
    for _ in 0..200 {
        if emitted(land).await == wanted {
            return;
        }
    }
    assert_eq!(emitted(land).await, wanted);
}

#[tokio::test]
async fn what_workers_counted_is_kept_and_told_to_who_asks() {
    // Each life of it emits ten.
    let mut land = Land::with_worker("counts").await;
    let slot = land.nimbus.running(PORT).await;
    until_emitted(&land, Some(10)).await;
    signal(slot.pid, Signal::SIGKILL);
    land.nimbus.life(PORT, 1, 1).await;
    until_emitted(&land, Some(20)).await;

    land.stop_supervisor().await;
    land.start().await;
    until_emitted(&land, Some(20)).await;
    let slot = land.nimbus.life(PORT, 1, 1).await;
    signal(slot.pid, Signal::SIGKILL);
    land.nimbus.life(PORT, 1, 2).await;
    until_emitted(&land, Some(30)).await;

    // It stays while the topology exists, whoever works for it, and goes with the topology.
    land.assign(WORDS, 2, None).await;
    land.nimbus.empty(PORT).await;
    land.stop_supervisor().await;
    land.start().await;
    assert_eq!(emitted(&land).await, Some(30));
    land.bury(WORDS).await;
    until_emitted(&land, None).await;
    land.stop_supervisor().await;
    let kept = land.options.local_dir.join("supervisor/figures");
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), 0);
}
