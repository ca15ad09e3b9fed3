//! What the cluster says of its members.

use super::Admin;
use crate::net::HostId;
use crate::world::World;
use http::{Method, StatusCode};
use mdfs_core::id::DiskId;
use mdfs_simdisk::SimDisk;
use serde::Deserialize;
use std::path::Path;

/// The members, as the leader told.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) members: Vec<Member>,
}

/// A member.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Member {
    #[serde(rename = "disk_id")]
    pub(crate) disk: String,
    pub(crate) voter: bool,
    pub(crate) draining: bool,
    pub(crate) decommissioning: bool,
    pub(crate) generation: u64,
    /// Whether the disk is in some worker, or can be put in there again.
    #[serde(skip)]
    pub(crate) here: bool,
}

impl View {
    /// How many vote.
    pub(crate) fn voters(&self) -> usize {
        self.members.iter().filter(|it| it.voter).count()
    }

    /// The member whose disk is in this worker.
    pub(crate) fn at(&self, world: &World, id: HostId) -> Option<&Member> {
        let (disk, _) = world.hosts.get(&id)?.disk().and_then(identity)?;
        self.members.iter().find(|it| it.disk == disk)
    }
}

impl Admin {
    /// Asks some master for the members and the state of the cluster.
    pub(super) async fn look(&mut self, world: &mut World) -> Option<View> {
        let master = self.chance.one_of(&world.masters()).copied()?;
        let told = world.ask_one(master, Method::GET, "/v1/status", None).await;
        let paused = told
            .as_ref()
            .and_then(|(_, said)| said.get("repair_paused"));
        if paused.and_then(serde_json::Value::as_bool) == Some(true) {
            world.trace.reach("repair paused");
        }
        let told = world
            .ask_one(master, Method::GET, "/v1/workers", None)
            .await?;
        let (StatusCode::OK, mut said) = told else {
            return None;
        };
        let members = said.get_mut("workers").map(serde_json::Value::take)?;
        let mut view = View {
            members: serde_json::from_value(members).ok()?,
        };
        let disks = world.hosts.values().filter_map(|host| host.disk());
        let own = self.visit.as_ref().map(|visit| &visit.own);
        let here: Vec<String> = disks
            .chain(own)
            .filter_map(|disk| Some(identity(disk)?.0))
            .collect();
        for member in &mut view.members {
            member.here = here.contains(&member.disk);
        }
        let voter = |id| view.at(world, id).is_some_and(|it| it.voter);
        let bad_votes = voter(world.bad);
        world.trace.set("the bad disk votes", bad_votes);
        Some(view)
    }
}

/// The id and the generation of a disk, if it has one.
pub(crate) fn identity(disk: &SimDisk) -> Option<(String, u64)> {
    let files = disk.contents();
    let file = files.iter().find(|(path, _)| path == Path::new("identity"));
    let bytes = &file?.1;
    let id = bytes.get(32..48)?.try_into().ok()?;
    let generation = bytes.get(48..56)?.try_into().ok()?;
    let id = DiskId::from_bytes(id).to_string();
    Some((id, u64::from_le_bytes(generation)))
}
