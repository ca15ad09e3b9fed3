//! The version of what the log and its records may hold: raised when every server knows the next, and
//! led by no master that does not know it.

use super::{Metadata, Now};
use mdfs_core::detect::Liveness;
use mdfs_core::format::{Formats, Rise};
use mdfs_core::id::{DiskId, Term};
use mdfs_core::log::leader::Copied;
use mdfs_core::records::plan::plan_format;
use mdfs_core::records::{ClusterRecord, Corrupt, Key, Lookup, decode};
use std::collections::BTreeSet;

/// What this master makes of the cluster's version.
#[derive(Debug, Default)]
pub(super) struct Versions {
    term: Option<Term>,
    rise: Rise,
    /// The records are of a version that this master does not know: it never leads.
    unknown: Option<Unknown>,
}

/// A version that this master does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unknown {
    /// Which; none if not even that can be read.
    format: Option<u32>,
}

impl Metadata {
    /// Raises the version once every server has known the next for a while.
    pub(super) fn look_at_formats(&mut self, now: Now) {
        if self.versions.term != self.established {
            self.versions.term = self.established;
            self.versions.rise = Rise::default();
        }
        let cluster = self.planned.cluster.as_ref();
        let Some(cluster) = cluster.filter(|_| self.established.is_some()) else {
            return;
        };
        let present = cluster.format;
        let members = self.planned.present().map(|(disk, _)| {
            // One that is silent may come back as another program.
            let live = self.fleet.liveness(disk, now.mono) == Liveness::Live;
            let observed = self.fleet.get(disk).filter(|_| live);
            observed.map(|it| it.beat.formats)
        });
        let servers = members.chain(self.masters.formats(now));
        let servers = servers.chain([Some(self.settings.formats)]);
        let Some(format) = self.versions.rise.look(now.mono, present, servers) else {
            return;
        };
        match self.view().map(|view| plan_format(&view, format)) {
            Ok(Ok(planned)) => {
                tracing::info!(format, "every server knows the next version of the format");
                self.append_upkeep(now, planned.puts);
            }
            Ok(Err(refusal)) => tracing::warn!(%refusal, "the version of the format stays"),
            Err(_) => {}
        }
    }

    /// The version in which a cluster is founded that has these disks: the highest that all know, and
    /// all masters.
    pub(super) fn founding_format(&self, now: Now, disks: &BTreeSet<DiskId>) -> u32 {
        let disks = disks.iter().map(|disk| {
            let observed = self.fleet.get(*disk);
            observed.map(|it| it.beat.formats)
        });
        let own = self.settings.formats;
        let servers = disks.chain(self.masters.formats(now));
        let most = servers.map(|formats| formats.map_or(own.least, |it| it.most));
        most.fold(own.most, u32::min).max(own.least)
    }

    /// Looks whether what was copied from another leader, or from a voter, is of a known version.
    pub(super) fn check_copied(&mut self, copied: &Copied) {
        let key = Key::Cluster.to_bytes();
        let records = copied.records.iter().filter(|(it, _)| *it == key);
        let changes = copied.changes.iter().filter(|it| it.key == key);
        let values = records.map(|(_, value)| value.as_slice());
        let mut values = values.chain(changes.filter_map(|it| it.new.as_deref()));
        if let Some(unknown) = values.find_map(|value| unknown(self.settings.formats, value)) {
            self.refuse_to_lead(unknown);
        }
    }

    /// The same of all that this master inherited, uncommitted entries included.
    pub(super) fn check_inherited(&mut self) {
        let view = self.log.view();
        let value = view
            .as_ref()
            .and_then(|it| it.value(&Key::Cluster.to_bytes()));
        if let Some(unknown) = value.and_then(|value| unknown(self.settings.formats, value)) {
            self.refuse_to_lead(unknown);
        }
    }

    fn refuse_to_lead(&mut self, unknown: Unknown) {
        if self.versions.unknown.replace(unknown) != Some(unknown)
            && let Some(why) = self.unknown_format()
        {
            tracing::error!("{why}");
        }
    }

    /// Whether the records are of a version that this master does not know: it reads none of them, and
    /// never leads.
    pub(super) fn is_outdated(&self) -> bool {
        self.versions.unknown.is_some()
    }

    /// Gives up leading if it must not lead, and has not given up yet. What the log wanted done besides
    /// is left out then: nothing but that the leases are given back.
    pub(super) fn gives_up(&mut self, now: Now) -> bool {
        let gives_up = self.is_outdated() && !self.log.is_resigned();
        if gives_up {
            self.give_up_leading(now);
        }
        gives_up
    }

    /// The cluster's version, as far as it is known.
    pub(super) fn format(&self) -> Option<u32> {
        match self.versions.unknown {
            Some(unknown) => unknown.format,
            None => self.catalog.cluster.as_ref().map(|it| it.format),
        }
    }

    /// Why this master does not lead, for people; none if it may.
    pub(super) fn unknown_format(&self) -> Option<String> {
        let Unknown { format } = self.versions.unknown?;
        let Formats { least, most } = self.settings.formats;
        let has = format.map_or("a later one".to_owned(), |it| format!("version {it}"));
        Some(format!(
            "this master knows versions {least} to {most} of the format, and the cluster has {has}: \
             it does not lead; start one of the program's newer releases"
        ))
    }

    /// Whether a disk's worker knows what the log may hold by now.
    pub(super) fn knows_format(&self, formats: Formats) -> bool {
        let cluster = self.planned.cluster.as_ref();
        cluster.is_none_or(|it| formats.has(it.format))
    }
}

/// Whether the cluster's record is of a version that is not known.
fn unknown(own: Formats, cluster: &[u8]) -> Option<Unknown> {
    match decode::<ClusterRecord>(cluster) {
        Ok(record) if own.has(record.format) => None,
        Ok(record) => Some(Unknown {
            format: Some(record.format),
        }),
        Err(Corrupt::Version(_)) => Some(Unknown { format: None }),
        // What is broken is told where it is read.
        Err(_) => None,
    }
}
