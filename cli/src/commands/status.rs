//! `mdfs status`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{fields, print, shown, size};
use mdfs_protocol::public::{Health, MasterInfo, MasterRole, Status};

pub(crate) async fn execute(context: &Context) -> Result<Exit, CliError> {
    let status = context.client()?.status().await?;
    print(
        context.global.output,
        &status,
        || text(&status),
        [word(status.health)],
    )?;
    Ok(exit(status.health))
}

/// Scripts can wait for health by the exit code alone.
fn exit(health: Health) -> Exit {
    match health {
        Health::Ok => Exit::Ok,
        Health::Degraded | Health::Critical | Health::Unknown => Exit::Degraded,
    }
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Degraded => "degraded",
        Health::Critical => "critical",
        Health::Unknown => "unknown",
    }
}

fn text(status: &Status) -> String {
    let cluster = status
        .cluster_id
        .map_or("not bootstrapped".to_owned(), |id| id.to_string());
    let none = || "none".to_owned();
    let leader = status.leader_url.clone().unwrap_or_else(none);
    let term = status.term.clone().unwrap_or_else(none);
    let mut lines = vec![
        ("health", word(status.health).to_owned()),
        ("cluster", cluster),
        ("leader", leader),
        ("leader's term", term),
    ];
    let masters = status.masters.iter().map(master);
    lines.extend(masters.map(|line| ("master", line)));
    lines.extend([
        (
            "workers",
            format!("{} of {} live", status.live_workers, status.workers),
        ),
        (
            "voters",
            format!("{} of {} leased", status.leased_voters, status.voters),
        ),
        (
            "files",
            format!("{} with {}", status.files, size(status.bytes)),
        ),
        ("trash", format!("{} files", status.trashed_files)),
        ("open uploads", uploads(status)),
        (
            "under-replicated",
            format!("{} files", status.under_replicated_files),
        ),
        ("missing", format!("{} files", status.missing_files)),
        (
            "copies to make",
            format!(
                "{} with {}",
                status.copies_to_make,
                size(status.bytes_to_copy)
            ),
        ),
        ("moving", format!("{} partitions", status.moving_partitions)),
        (
            "copies",
            format!(
                "{} of each chunk of {}",
                status.replicas,
                size(status.chunk_size)
            ),
        ),
        ("log", format!("committed up to {}", status.commit)),
        (
            "format",
            status.format.map_or_else(none, |it| it.to_string()),
        ),
    ]);
    let tasks = status.tasks.iter().map(super::tasks::line);
    lines.extend(tasks.map(|line| ("task", line)));
    lines.extend(
        status
            .reasons
            .iter()
            .map(|reason| ("because", shown(reason).into_owned())),
    );
    fields(&lines)
}

fn master(master: &MasterInfo) -> String {
    let role = match master.role {
        MasterRole::Leader => "leads",
        MasterRole::Follower => "follows",
    };
    let mut line = format!("{} {role}", shown(&master.url));
    if let Some(behind) = master
        .behind
        .filter(|_| master.role == MasterRole::Follower)
    {
        line.push_str(&format!(", {behind} entries behind"));
    }
    if master.role == MasterRole::Follower && !master.warm {
        line.push_str(", has no whole copy");
    }
    if let Some(ago) = master.heard_millis_ago.filter(|&ago| ago >= 1000) {
        line.push_str(&format!(", heard of {} s ago", ago / 1000));
    }
    if let Some(version) = &master.version {
        line.push_str(&format!(", version {}", shown(version)));
    }
    line
}

fn uploads(status: &Status) -> String {
    if status.upload_sessions == 0 {
        return status.open_uploads.to_string();
    }
    format!(
        "{}, {} of them resumable with {} stored, the oldest {} s old",
        status.open_uploads,
        status.upload_sessions,
        size(status.upload_bytes),
        status.oldest_upload_seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ok_is_ok() {
        assert_eq!(exit(Health::Ok), Exit::Ok);
        for bad in [Health::Degraded, Health::Critical, Health::Unknown] {
            assert_eq!(exit(bad), Exit::Degraded);
        }
    }
}
