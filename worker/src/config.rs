//! What a worker is started with: one plain struct, checked once, then passed down in parts.

use crate::error::Error;
use mdfs_protocol::access::ClusterKey;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

/// The shortest lease a voter may be told to keep: below it, a pause of a busy machine ends leases.
const LEASE_MIN: Duration = Duration::from_millis(300);

/// The shortest time for a scrub: below it, an empty disk would keep a processor busy.
const SCRUB_MIN: Duration = Duration::from_secs(1);

/// How long a scrub of the whole disk takes, unless told otherwise.
pub const SCRUB_EVERY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Everything a worker is told at its start. Immutable afterwards.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the disk is: chunks, the log and the identity live under it.
    pub data_dir: PathBuf,
    /// A name for people, such as the pod's. Never an identity: that is on the disk.
    pub name: String,
    /// Where masters and other workers reach this one, such as `http://10.0.0.7:8081`; none means
    /// the listener's own address.
    pub url: Option<String>,
    /// The failure domain, if there is one.
    pub zone: Option<String>,
    /// The URL of every master, or of one name that stands for all of them.
    pub masters: Vec<String>,
    /// The key that servers of the cluster share; sent with every request to another server.
    pub cluster_key: ClusterKey,
    /// A second key that callers may use, while the key is being changed.
    pub other_cluster_key: Option<ClusterKey>,
    /// How often each master is told how the worker is.
    pub heartbeat_interval: Duration,
    /// Bytes that chunks never use, so that deletes and the log work on a full disk; none means the
    /// store's own rule.
    pub reserve_bytes: Option<u64>,
    /// Bytes a second that are copied from other workers at most, to heal or to move; none means as
    /// fast as disks and network are. While clients are there, copies yield to them in any case.
    pub copy_rate: Option<NonZeroU64>,
    /// Within this time every block of every chunk is read once.
    pub scrub_every: Duration,
    /// How long an accepted append leases this voter to its term.
    pub lease: Duration,
    /// What bounds memory, threads and waiting.
    pub limits: Limits,
}

/// What bounds a worker's memory, threads and waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Disk calls under way at once, each on a thread of its own.
    pub disk_threads: usize,
    /// Memory for bytes on their way from the disk to a reader.
    pub read_buffer_bytes: u64,
    /// Memory for bytes on their way from a writer to the disk: half of it for chunks that go no
    /// further, and half of it for each number of disks behind this one.
    pub write_buffer_bytes: u64,
    /// How long a request may wait for a thread or a buffer before it is told to come back.
    pub queue_wait: Duration,
    /// Messages of the metadata log that may wait for the voter.
    pub voter_inbox: usize,
    /// How long requests may go on after the worker was told to stop.
    pub grace: Duration,
    /// How often the store looks for what nobody will finish.
    pub sweep_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            disk_threads: 16,
            read_buffer_bytes: 64 << 20,
            write_buffer_bytes: 32 << 20,
            queue_wait: Duration::from_secs(10),
            voter_inbox: 64,
            grace: Duration::from_secs(10),
            sweep_interval: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Checks what one value says about another, and that every value can work at all.
    ///
    /// # Errors
    /// [`Error::Config`] names the first setting that cannot work, and why.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |setting: &'static str, why: String| Err(Error::Config { setting, why });
        if self.name.is_empty() || self.name.len() > 253 || self.name.chars().any(char::is_control)
        {
            return refuse(
                "name",
                "needs 1 to 253 bytes without control characters".to_owned(),
            );
        }
        if self.masters.is_empty() {
            return refuse("masters", "at least one master is needed".to_owned());
        }
        for (setting, url) in self
            .masters
            .iter()
            .map(|m| ("masters", m))
            .chain(self.url.iter().map(|u| ("url", u)))
        {
            if let Err(why) = check_url(url) {
                return refuse(setting, format!("{url:?} {why}"));
            }
        }
        if self.heartbeat_interval < Duration::from_millis(10) {
            return refuse("heartbeat_interval", "must be at least 10 ms".to_owned());
        }
        if self.scrub_every < SCRUB_MIN {
            return refuse("scrub_every", "must be at least 1 s".to_owned());
        }
        if self.lease < LEASE_MIN {
            return refuse(
                "lease",
                format!("must be at least {} ms", LEASE_MIN.as_millis()),
            );
        }
        self.limits.check()
    }
}

impl Limits {
    fn check(&self) -> Result<(), Error> {
        let refuse = |setting: &'static str, why: &str| {
            Err(Error::Config {
                setting,
                why: why.to_owned(),
            })
        };
        if !(1..=256).contains(&self.disk_threads) {
            return refuse("disk_threads", "must be 1 to 256");
        }
        // One piece of the largest size must fit, or a request would wait for ever.
        let memory = (4 << 20)..=(16 << 30);
        if !memory.contains(&self.read_buffer_bytes) {
            return refuse("read_buffer_bytes", "must be 4 MiB to 16 GiB");
        }
        if !memory.contains(&self.write_buffer_bytes) {
            return refuse("write_buffer_bytes", "must be 4 MiB to 16 GiB");
        }
        if !(1..=4096).contains(&self.voter_inbox) {
            return refuse("voter_inbox", "must be 1 to 4096");
        }
        if self.queue_wait.is_zero() || self.sweep_interval.is_zero() {
            return refuse("queue_wait", "this and sweep_interval must not be zero");
        }
        Ok(())
    }
}

/// Tells why a text is no base URL of a server.
fn check_url(url: &str) -> Result<(), &'static str> {
    let uri: http::Uri = url.parse().map_err(|_| "is not a URL")?;
    if uri.scheme_str() != Some("http") || uri.authority().is_none() {
        return Err("must begin with http:// and a host");
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err("must end after the port");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_protocol::access::Secret;

    fn config() -> Config {
        Config {
            data_dir: "data".into(),
            name: "w0".to_owned(),
            url: None,
            zone: None,
            masters: vec!["http://127.0.0.1:8080".to_owned()],
            cluster_key: ClusterKey::new(&Secret::new(&[b'k'; 32]).unwrap()),
            other_cluster_key: None,
            heartbeat_interval: Duration::from_secs(1),
            reserve_bytes: None,
            copy_rate: None,
            scrub_every: SCRUB_EVERY,
            lease: Duration::from_secs(3),
            limits: Limits::default(),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Config), want: Option<&str>) {
        let mut config = config();
        change(&mut config);
        let refused = config.check().err().map(|error| match error {
            Error::Config { setting, .. } => setting,
            other => panic!("{other}"),
        });
        assert_eq!(refused, want);
    }

    #[test]
    fn each_setting_that_cannot_work_is_named() {
        check(|_| {}, None);
        check(|c| c.url = Some("http://10.0.0.7:8081".to_owned()), None);
        check(|c| c.name.clear(), Some("name"));
        check(|c| c.masters.clear(), Some("masters"));
        check(
            |c| c.masters.push("10.0.0.7:8080".to_owned()),
            Some("masters"),
        );
        check(|c| c.url = Some("http://h:1/path".to_owned()), Some("url"));
        check(
            |c| c.heartbeat_interval = Duration::ZERO,
            Some("heartbeat_interval"),
        );
        check(|c| c.lease = Duration::from_millis(1), Some("lease"));
        check(|c| c.scrub_every = Duration::ZERO, Some("scrub_every"));
        check(|c| c.limits.disk_threads = 0, Some("disk_threads"));
        check(
            |c| c.limits.read_buffer_bytes = 1,
            Some("read_buffer_bytes"),
        );
        check(
            |c| c.limits.write_buffer_bytes = 1,
            Some("write_buffer_bytes"),
        );
        check(|c| c.limits.voter_inbox = 0, Some("voter_inbox"));
        check(
            |c| c.limits.sweep_interval = Duration::ZERO,
            Some("queue_wait"),
        );
    }
}
