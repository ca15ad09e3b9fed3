//! `mdfs admin bootstrap`: a cluster begins, once.

use super::Context;
use crate::duration::parse_duration;
use crate::error::{CliError, Exit};
use crate::output::print;
use crate::roles::read_secret;
use clap::Args;
use mdfs_client::Client;
use mdfs_client::api;
use mdfs_client::link::{Links, Reads};
use mdfs_core::id::{ClusterId, DiskId};
use mdfs_protocol::access::ClusterKey;
use mdfs_service::Clock;
use std::path::PathBuf;
use std::time::Duration;

/// How often the servers are asked.
const POLL: Duration = Duration::from_millis(500);
/// In which a worker must tell who it is.
const IDENTITY_WITHIN: Duration = Duration::from_secs(2);

/// Whose disks vote, and how it begins
#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    /// Address of a worker whose disk votes first, such as http://worker-0:8081; one worker, or three
    #[arg(long, value_name = "URL", required = true)]
    worker: Vec<String>,
    /// File with the key that the servers share
    #[arg(long, value_name = "FILE")]
    cluster_key_file: PathBuf,
    /// Copies of each chunk unless an upload says otherwise
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=7))]
    replicas: u8,
    /// How long to wait until the servers answer and the cluster serves
    #[arg(long, value_name = "SPAN", default_value = "2m", value_parser = parse_duration)]
    wait: Duration,
}

impl Bootstrap {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let key = ClusterKey::new(&read_secret(&self.cluster_key_file).map_err(CliError::Server)?);
        let links = Links::new(&key, None, Reads::Small)
            .map_err(|error| CliError::Usage(error.to_string()))?;
        let (client, clock) = (context.client()?, Clock::real());
        let start = clock.now();
        loop {
            let error = match self.step(&client, &links).await {
                Ok(Some(cluster)) => {
                    let text = || format!("{cluster}\n");
                    let id = cluster.to_string();
                    let begun = api::Bootstrapped {
                        cluster_id: cluster,
                    };
                    print(context.global.output, &begun, text, [id.as_str()])?;
                    return Ok(Exit::Ok);
                }
                Ok(None) => CliError::Server(anyhow::anyhow!("nobody leads the cluster yet")),
                Err(error) => error,
            };
            // Servers that were just started have not heard of one another yet.
            let may_pass = !matches!(error.exit(), Exit::Denied | Exit::Usage);
            if !may_pass || clock.now().since(start) >= self.wait {
                return Err(error);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Looks whether the cluster serves, and has it begin if it has not. Which one it is, once it serves.
    async fn step(&self, client: &Client, links: &Links) -> Result<Option<ClusterId>, CliError> {
        let status = client.status().await?;
        if status.term.is_some() {
            return Ok(status.cluster_id);
        }
        let mut disks: Vec<DiskId> = Vec::new();
        for url in &self.worker {
            let told = links.identity(url, IDENTITY_WITHIN).await;
            let told = told.map_err(|error| {
                let error = anyhow::Error::new(error);
                CliError::Server(error.context(format!("no worker answers at {url}")))
            })?;
            disks.push(told.disk);
        }
        let order = api::Bootstrap {
            disks,
            replicas: Some(self.replicas),
            chunk_size: None,
        };
        client.bootstrap(&order).await?;
        Ok(None)
    }
}
