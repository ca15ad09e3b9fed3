//! `mdfs policy`

use super::Context;
use crate::duration::parse_duration;
use crate::error::{CliError, Exit};
use crate::output::{fields, print, size};
use clap::Args;
use mdfs_protocol::public::{self, PolicyChange};
use std::time::Duration;

/// Show the policy of the cluster, or change it
#[derive(Debug, Args)]
pub struct Policy {
    /// Copies of each chunk of files that were not stored with another number, 1 to 7
    #[arg(long, value_name = "N")]
    replicas: Option<u8>,
    /// Bytes of a chunk of files to come, a power of two from 1 MiB to 1 GiB
    #[arg(long, value_name = "BYTES")]
    chunk_size: Option<u64>,
    /// How long a dead worker is waited for, such as 5m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    repair_delay: Option<Duration>,
    /// How long deleted and replaced files stay in the trash, such as 30d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    trash_keep: Option<Duration>,
    /// How long after it was asked for a lower number of copies holds, such as 10m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    lower_after: Option<Duration>,
    /// So many copies suffice to acknowledge a write while no more can be made; 0 to need all. Needs three
    /// voters
    #[arg(long, value_name = "N")]
    min_write_copies: Option<u8>,
}

impl Policy {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let seconds = |span: Option<Duration>| span.map(|span| span.as_secs());
        let change = PolicyChange {
            replicas: self.replicas,
            chunk_size: self.chunk_size,
            repair_delay_seconds: seconds(self.repair_delay),
            trash_keep_seconds: seconds(self.trash_keep),
            lower_after_seconds: seconds(self.lower_after),
            min_write_copies: self.min_write_copies,
        };
        let client = context.client()?;
        let policy = if change == PolicyChange::default() {
            client.policy().await?
        } else {
            client.change_policy(&change).await?
        };
        print(context.global.output, &policy, || text(&policy), ["policy"])?;
        Ok(Exit::Ok)
    }
}

fn text(policy: &public::Policy) -> String {
    let copies = match policy.lowering {
        Some(lowering) => format!(
            "{}, and {} in {} s",
            policy.replicas, lowering.replicas, lowering.in_seconds
        ),
        None => policy.replicas.to_string(),
    };
    let seconds = |seconds: u64| format!("{seconds} s");
    let least = policy.min_write_copies;
    let least = least.map_or("all".to_owned(), |least| least.to_string());
    fields(&[
        ("copies", copies),
        ("writes need", least),
        ("chunk size", size(policy.chunk_size)),
        ("repair delay", seconds(policy.repair_delay_seconds)),
        ("trash keeps", seconds(policy.trash_keep_seconds)),
        ("fewer copies after", seconds(policy.lower_after_seconds)),
    ])
}
