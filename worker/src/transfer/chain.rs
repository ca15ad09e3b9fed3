//! Passes segments and seals on to the rest of a chain.

use crate::error::{self, Error};
use crate::node::Node;
use bytes::Bytes;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, Term};
use mdfs_protocol::internal::{Hop, HopOutcome, HopsReply, Seal, SealRequest};
use mdfs_protocol::problem::Code;

/// The rest of a chunk's chain, as one hop sees it.
pub(crate) struct Onward<'a> {
    pub(crate) node: &'a Node,
    pub(crate) chunk: ChunkId,
    /// The disks behind this one, the nearest first.
    pub(crate) next: &'a [DiskId],
}

impl Onward<'_> {
    /// Passes a segment on. One outcome for each disk behind this one, in order; never fails.
    ///
    /// # Cancel safety
    /// Dropped, the segment may arrive behind or not; sending it again is harmless.
    pub(crate) async fn segment(
        &self,
        offset: u64,
        term: Term,
        bytes: Bytes,
        crc: Crc32,
    ) -> Vec<Hop> {
        let Some((first, behind)) = self.next.split_first() else {
            return Vec::new();
        };
        let (peers, chunk) = (&self.node.peers, self.chunk);
        let sent = peers.send_segment(*first, chunk, offset, term, behind, bytes, crc);
        outcomes(*first, behind, sent.await)
    }

    /// Passes a seal on. As [`Onward::segment`].
    pub(crate) async fn seal(&self, term: Term, seal: &Seal) -> Vec<Hop> {
        let Some((first, behind)) = self.next.split_first() else {
            return Vec::new();
        };
        let request = SealRequest {
            term,
            seal: seal.clone(),
            next: behind.to_vec(),
        };
        let sent = self.node.peers.send_seal(*first, self.chunk, &request);
        outcomes(*first, behind, sent.await)
    }
}

/// What each disk of a chain did, when the first of them answered or failed. A disk that no answer
/// speaks of counts as failed: it may have taken its part, and says so when asked.
fn outcomes(first: DiskId, behind: &[DiskId], sent: Result<HopsReply, Error>) -> Vec<Hop> {
    let failed = |disk, code, detail: &str| Hop {
        disk,
        outcome: HopOutcome::Failed {
            code,
            detail: detail.to_owned(),
        },
    };
    let expected = std::iter::once(first).chain(behind.iter().copied());
    match sent {
        Ok(HopsReply { hops }) => expected
            .map(|disk| {
                let told = hops.iter().find(|hop| hop.disk == disk).cloned();
                told.unwrap_or_else(|| {
                    failed(disk, Code::Internal, "the hop before is silent on it")
                })
            })
            .collect(),
        Err(error) => {
            let (code, cause) = (error.code(), error::chain(&error));
            tracing::warn!(disk = %first, code = code.as_str(), cause, "the next hop failed");
            let detail = if cause.is_empty() {
                error.to_string()
            } else {
                cause
            };
            expected
                .map(|disk| {
                    if disk == first {
                        failed(disk, code, &detail)
                    } else {
                        failed(disk, Code::Unavailable, "the hop before it failed")
                    }
                })
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_protocol::internal::Staged;

    const A: DiskId = DiskId::from_u128(1);
    const B: DiskId = DiskId::from_u128(2);

    fn codes(hops: &[Hop]) -> Vec<(DiskId, Option<Code>)> {
        hops.iter()
            .map(|hop| match &hop.outcome {
                HopOutcome::Failed { code, .. } => (hop.disk, Some(*code)),
                HopOutcome::Received(_) | HopOutcome::Durable(_) => (hop.disk, None),
            })
            .collect()
    }

    #[test]
    fn every_disk_of_the_chain_has_an_outcome_whatever_was_answered() {
        let received = |disk| Hop {
            disk,
            outcome: HopOutcome::Received(Staged { received: 1 }),
        };
        let all = HopsReply {
            hops: vec![received(A), received(B)],
        };
        assert_eq!(codes(&outcomes(A, &[B], Ok(all))), [(A, None), (B, None)]);
        let lying = HopsReply {
            hops: vec![received(DiskId::from_u128(9)), received(A)],
        };
        assert_eq!(
            codes(&outcomes(A, &[B], Ok(lying))),
            [(A, None), (B, Some(Code::Internal))]
        );
        let down = Err(Error::UnknownDisk { disk: A });
        let want = [(A, Some(Code::Unavailable)), (B, Some(Code::Unavailable))];
        assert_eq!(codes(&outcomes(A, &[B], down)), want);
    }
}
