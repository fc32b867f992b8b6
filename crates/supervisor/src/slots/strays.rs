//! What runs here and is absent from ZooKeeper. Pure.
//!
//! A record goes a moment before its tombstone is read, so an absence counts when it lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use storm_model::{Time, TopologyId};

/// An absence that lasts for so long is told.
const STRAY_AFTER: Duration = Duration::from_secs(2);

/// A port and the topology that is to run there.
pub(super) type Stray = (u16, TopologyId);

/// What is absent, since when, and whether people were told.
#[derive(Debug, Default)]
pub(super) struct Strays(BTreeMap<Stray, (Time, bool)>);

impl Strays {
    /// This is absent now, and nothing else.
    pub(super) fn note(&mut self, now: Time, absent: BTreeSet<Stray>) {
        self.0.retain(|stray, _| absent.contains(stray));
        for stray in absent {
            self.0.entry(stray).or_insert((now, false));
        }
    }

    /// What has to be told now, of that which still counts.
    pub(super) fn due(&mut self, now: Time, counts: impl Fn(&Stray) -> bool) -> Vec<Stray> {
        self.0.retain(|stray, _| counts(stray));
        let due =
            self.0.iter_mut().filter(|(_, (since, is_told))| !is_told && now.since(*since) >= STRAY_AFTER);
        due.map(|(stray, (_, is_told))| {
            *is_told = true;
            stray.clone()
        })
        .collect()
    }

    /// What was told, in words.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter(|(_, (_, is_told))| *is_told).map(|((port, id), _)| {
            format!("port {port}: the cluster does not know topology '{id}'; it is left running")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absence_that_lasts_is_told_and_once() {
        let mut strays = Strays::default();
        let absent = || BTreeSet::from([(6700, TopologyId::from("a")), (6701, TopologyId::from("b"))]);
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        strays.note(at(0), absent());
        assert!(strays.due(at(100), |_| true).is_empty());
        // The tombstone of one has come.
        let counts = |(_, id): &Stray| *id != "a";
        assert_eq!(strays.due(at(2500), counts), [(6701, TopologyId::from("b"))]);
        strays.note(at(2600), [(6701, TopologyId::from("b"))].into());
        assert!(strays.due(at(9000), counts).is_empty());
        let told = "port 6701: the cluster does not know topology 'b'; it is left running";
        assert_eq!(strays.problems().collect::<Vec<_>>(), [told]);
        strays.note(at(9100), BTreeSet::new());
        assert_eq!(strays.problems().count(), 0);
    }
}
