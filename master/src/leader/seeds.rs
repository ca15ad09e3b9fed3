//! How a master finds the workers: it asks at its seeds, over and over, who answers there, and has every
//! disk that does not beat here yet beat here too. Where a disk is, only its beats say: an address that
//! belongs to another worker by now, or to another cluster, leads to nothing but a question.

use super::handle::LeaderHandle;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use mdfs_client::link::{LinkError, Links, MOST_ADDRESSES, Peer};
use mdfs_core::id::{ClusterId, DiskId};
use mdfs_protocol::internal::Masters;
use mdfs_protocol::problem::Code;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How soon all are asked again at first, and while more and more are found.
const EAGER: Duration = Duration::from_secs(1);
/// How soon at the latest. So long a worker may wait that came, or came back at another address, and
/// knows no master.
const STEADY: Duration = Duration::from_secs(5);
/// In which the system must say what a name stands for.
const NAME_WITHIN: Duration = Duration::from_secs(5);
/// In which a worker must say who it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Workers asked at a time. Those that are not there cost 2 seconds each.
const AT_ONCE: usize = 32;

/// What the loop knows of who is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// The cluster that this master serves, if that is certain.
    pub cluster: Option<ClusterId>,
    /// The disks that beat here.
    pub disks: BTreeSet<DiskId>,
}

/// Who answers at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    /// A disk that beats here.
    Known,
    /// A disk that does not, and was asked to.
    New,
    /// One of another cluster, or one that does not know this one's key.
    Foreign,
    /// Nobody, or one that cannot answer yet.
    Nobody,
}

/// What was told of each seed and address last: only changes are logged.
type Told = BTreeMap<String, Met>;

/// Asks at the seeds until `stop` fires, for a master that is reached at `own`.
///
/// # Cancel safety
/// May be dropped.
pub async fn seek(
    leader: LeaderHandle,
    own: String,
    seeds: Vec<String>,
    links: Links,
    stop: CancellationToken,
) {
    let seek = async {
        let own = Masters { urls: vec![own] };
        let (mut told, mut pause) = (Told::new(), EAGER);
        loop {
            let found = look_around(&leader, &own, &seeds, &links, &mut told).await;
            pause = match found {
                true => EAGER,
                false => (pause * 2).min(STEADY),
            };
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = seek => {}
    }
}

/// Asks at every address once; true if somebody new was found.
async fn look_around(
    leader: &LeaderHandle,
    own: &Masters,
    seeds: &[String],
    links: &Links,
    told: &mut Told,
) -> bool {
    let named = seeds.iter().map(|seed| links.addresses(seed, NAME_WITHIN));
    let named = join_all(named).await;
    let mut before = std::mem::take(told);
    let mut addresses = BTreeSet::new();
    for (seed, named) in seeds.iter().zip(named) {
        match named {
            Ok(found) => addresses.extend(found),
            Err(error) => {
                // No pod behind it is there yet, or nobody answers for names.
                if before.remove(seed) != Some(Met::Nobody) {
                    tracing::warn!(seed, %error, "a seed's name stands for no address");
                }
                told.insert(seed.clone(), Met::Nobody);
            }
        }
    }
    let Ok(present) = leader.present().await else {
        // The loop has ended: the process is stopping.
        return false;
    };
    let asked = addresses.into_iter().take(MOST_ADDRESSES);
    let asked = asked.map(|url| async {
        let met = ask(links, &url, own, &present).await;
        (url, met)
    });
    let mut found = false;
    let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
    while let Some((url, met)) = answers.next().await {
        found |= met == Met::New;
        if before.remove(&url) != Some(met) {
            match met {
                Met::Known => {}
                Met::New => tracing::info!(url, "a worker was found"),
                Met::Foreign => {
                    tracing::warn!(
                        url,
                        "a seed belongs to another cluster, or knows another key"
                    );
                }
                Met::Nobody => tracing::info!(url, "nobody answers at a seed"),
            }
        }
        told.insert(url, met);
    }
    found
}

/// Asks at one address, and has the disk beat here if it does not.
async fn ask(links: &Links, url: &str, own: &Masters, present: &Present) -> Met {
    let identity = match links.identity(url, ANSWER_WITHIN).await {
        Ok(identity) => identity,
        Err(error) => return refused(&error),
    };
    if let (Some(theirs), Some(ours)) = (identity.cluster, present.cluster)
        && theirs != ours
    {
        return Met::Foreign;
    }
    let disk = identity.disk;
    if present.disks.contains(&disk) {
        return Met::Known;
    }
    let url = url.to_owned();
    // If another one took the address meanwhile, that refuses.
    let peer = Peer { disk, url };
    match links.tell_masters(&peer, own, ANSWER_WITHIN).await {
        Ok(_) => Met::New,
        Err(error) => refused(&error),
    }
}

fn refused(error: &LinkError) -> Met {
    match error.code() {
        Some(Code::ForeignDisk | Code::Unauthorized) => Met::Foreign,
        Some(_) | None => Met::Nobody,
    }
}
