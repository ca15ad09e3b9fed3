//! What holds whenever a cluster has settled, whatever happened to it before.

use crate::figures::figure;
use crate::healing::{Status, status};
use anyhow::{Context, Result, ensure};
use mdfs_tests::api::Api;
use mdfs_tests::wait::wait_for;
use mdfs_tests::walker::{Count, Depth, Records, only_what_is_wanted, read_disks};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Waits until the cluster has settled on `disks`, and checks them: each chunk of each file, in the
/// trash or not, has exactly the wanted number of copies, every block of which is right, each on
/// another disk; nothing else is on the disks; and the status says just that.
///
/// # Errors
/// If that is not so within `limit`.
pub(crate) fn hold(
    cluster: &impl Api,
    disks: &BTreeMap<String, PathBuf>,
    limit: Duration,
) -> Result<()> {
    let (count, copies, bytes) = wait_for("settled disks and a true status", limit, || {
        // Cheap as long as it is not so: then every block is read, once.
        look(cluster, disks, Depth::Footers)?;
        look(cluster, disks, Depth::Blocks).map(Some)
    })
    .context("the invariants of a settled cluster")?;
    let (files, trash) = (count.files, count.trashed_files);
    figure(
        "walk of the disks: as the records and status say",
        &format!("{files} files, {trash} in the trash, {copies} copies, {bytes} bytes"),
    );
    Ok(())
}

/// Looks once; what was counted, and all copies and their bytes.
fn look(
    cluster: &impl Api,
    disks: &BTreeMap<String, PathBuf>,
    depth: Depth,
) -> Result<(Count, usize, u64)> {
    let said = status(cluster)?;
    let records = Records::list(&mut cluster.connect()?)?;
    let found = read_disks(disks, cluster.cluster_id(), depth)?;
    let count = only_what_is_wanted(&records, &found, said.open_uploads)
        .with_context(|| format!("{said:?}"))?;
    agrees(&said, &count)?;
    let copies = found.values().map(|disk| disk.copies.len()).sum();
    let bytes = found.values().map(|disk| disk.bytes()).sum();
    Ok((count, copies, bytes))
}

/// Whether a status says what was counted.
fn agrees(said: &Status, count: &Count) -> Result<()> {
    let says = [
        said.files,
        said.bytes,
        said.trashed_files,
        said.under_replicated_files,
        said.missing_files,
        said.damaged_chunks,
        said.excess_copies,
        said.copies_to_make,
    ];
    let is = [
        count.files,
        count.bytes,
        count.trashed_files,
        count.under_replicated_files,
        count.missing_files,
        count.damaged_chunks,
        count.excess_copies,
        count.lacking_chunks,
    ];
    ensure!(says == is, "{said:?}, but the disks say {count:?}");
    ensure!(said.counted_millis_ago.is_some(), "{said:?}");
    Ok(())
}
