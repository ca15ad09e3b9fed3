//! The chunks on all disks, file by file, in the order of file ids.
//!
//! Each disk tells of its chunks in that order, a page at a time, so that only pages and the chunks of
//! one file are held.

use super::scan::ScanError;
use futures_util::future::join_all;
use mdfs_client::link::{LinkError, Links, Peer};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, FileId, Term};
use mdfs_core::records::remains::Remain;
use mdfs_protocol::footers::{Footer, FootersRequest, MOST_FOOTERS};
use mdfs_protocol::problem::Code;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// In which a disk must have told of a page of chunks: it reads behind each.
const WITHIN: Duration = Duration::from_secs(60);

/// The chunks of all disks that were not taken yet.
pub(super) struct Remains {
    links: Links,
    term: Term,
    disks: Vec<Disk>,
    /// Disks that did not tell of all that they have, and the names of their workers.
    pub(super) failed: Vec<(DiskId, String)>,
}

struct Disk {
    peer: Peer,
    name: String,
    /// The last chunk that it told of.
    after: Option<ChunkId>,
    waiting: VecDeque<Footer>,
    /// Whether it has more.
    more: bool,
}

/// What is left of one file.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Chunks behind which something can be read.
    pub(super) chunks: BTreeMap<u32, Remain>,
    /// The others.
    pub(super) unreadable: BTreeSet<u32>,
}

impl Remains {
    pub(super) fn new(
        links: Links,
        term: Term,
        peers: impl Iterator<Item = (Peer, String)>,
    ) -> Self {
        let disk = |(peer, name)| Disk {
            peer,
            name,
            after: None,
            waiting: VecDeque::new(),
            more: true,
        };
        Self {
            links,
            term,
            disks: peers.map(disk).collect(),
            failed: Vec::new(),
        }
    }

    /// The disks that told of all that they have, once nothing is left.
    pub(super) fn told(&self) -> BTreeSet<DiskId> {
        let failed: BTreeSet<DiskId> = self.failed.iter().map(|(disk, _)| *disk).collect();
        let asked = self.disks.iter().map(|disk| disk.peer.disk);
        asked.filter(|disk| !failed.contains(disk)).collect()
    }

    /// The next file of which a chunk is left.
    pub(super) async fn peek(&mut self) -> Result<Option<FileId>, ScanError> {
        self.fill().await?;
        let next = self.disks.iter().filter_map(|disk| disk.waiting.front());
        Ok(next.map(|footer| footer.chunk.file).min())
    }

    /// All chunks of that file.
    pub(super) async fn take(&mut self, file: FileId) -> Result<Left, ScanError> {
        let mut left = Left::default();
        loop {
            for disk in &mut self.disks {
                let id = disk.peer.disk;
                while let Some(footer) = disk.waiting.pop_front_if(|it| it.chunk.file == file) {
                    left.add(id, footer);
                }
            }
            if !self.fill().await? {
                break;
            }
        }
        // One that can be read somewhere can be read.
        let chunks = &left.chunks;
        left.unreadable.retain(|index| !chunks.contains_key(index));
        Ok(left)
    }

    /// Asks the disks of which nothing is waiting; whether any said something. One that fails is asked no
    /// more: it is as if it did not answer at all.
    async fn fill(&mut self) -> Result<bool, ScanError> {
        let (links, term) = (&self.links, self.term);
        let asked = self
            .disks
            .iter_mut()
            .filter(|disk| disk.waiting.is_empty() && disk.more);
        let asked = asked.map(|disk| async move {
            let request = FootersRequest {
                term,
                after: disk.after,
                limit: MOST_FOOTERS,
            };
            let page = match links.footers(&disk.peer, &request, WITHIN).await {
                Ok(page) => page,
                Err(error) if is_of_later(&error) => return Err(error),
                Err(error) => {
                    let worker = &disk.name;
                    tracing::warn!(%worker, %error, "a disk does not say what it has");
                    disk.more = false;
                    return Ok(Said::Failed(disk.peer.disk, worker.clone()));
                }
            };
            // A page without chunks of which more follow would be asked for without end.
            disk.more = page.more && !page.footers.is_empty();
            disk.after = page
                .footers
                .last()
                .map(|footer| footer.chunk)
                .or(disk.after);
            disk.waiting = page.footers.into();
            Ok(match disk.waiting.is_empty() {
                true => Said::Nothing,
                false => Said::Something,
            })
        });
        let mut something = false;
        for said in join_all(asked).await {
            match said? {
                Said::Something => something = true,
                Said::Nothing => {}
                Said::Failed(disk, worker) => self.failed.push((disk, worker)),
            }
        }
        Ok(something)
    }
}

/// What a disk said when it was asked for more.
enum Said {
    Something,
    Nothing,
    Failed(DiskId, String),
}

/// Whether a disk knows of a later leader: what others said was said to the one before.
fn is_of_later(error: &LinkError) -> bool {
    matches!(
        error,
        LinkError::Refused {
            code: Code::Fenced,
            ..
        }
    )
}

impl Left {
    fn add(&mut self, disk: DiskId, footer: Footer) {
        let Footer { chunk, seal } = footer;
        let Some(seal) = seal else {
            self.unreadable.insert(chunk.index);
            return;
        };
        // One name for all of them: pages bring it with each.
        let first = self.chunks.values().next().map(|chunk| &chunk.name);
        let name = match first.filter(|name| ***name == *seal.name) {
            Some(name) => name.clone(),
            None => Arc::from(&*seal.name),
        };
        let remain = self.chunks.entry(chunk.index).or_insert_with(|| Remain {
            length: seal.length,
            chunk_size: seal.chunk_size,
            crc32: seal.crc32,
            hash: seal.hash,
            name,
            file_bytes: seal.file_bytes,
            disks: Vec::new(),
        });
        // The bytes of a chunk are the same wherever it is: a footer that says otherwise is none of it.
        if (remain.length, remain.crc32) == (seal.length, seal.crc32) {
            remain.disks.push(disk);
        }
    }
}
