//! What a worker is started with: one plain struct, checked once, then passed down in parts.

use mdfs_protocol::access::ClusterKey;
use mdfs_service::settings::{Faults, Quantity, Setting, check_url};
use std::path::PathBuf;
use std::time::Duration;

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
    /// URLs of masters, each of one, or with a name that stands for several. The worker beats at all
    /// masters that these know of; without any, at those that call it, because it is a seed of theirs.
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
    /// Bytes that chunk files may have in all; none means what the file system has.
    pub capacity_bytes: Option<u64>,
    /// It keeps no chunks: it is there to keep the metadata log, and to vote. Counts when its disk joins.
    pub witness: bool,
    /// Bytes a second that are copied from other workers at most, to heal or to move; none means as
    /// fast as disks and network are. While clients are there, copies yield to them in any case.
    pub copy_rate: Option<u64>,
    /// Within this time every block of every chunk is read once.
    pub scrub_every: Duration,
    /// How long an accepted append leases this voter to its term.
    pub lease: Duration,
    /// What bounds memory, threads and waiting.
    pub limits: Limits,
    /// What the HTTP interface bears.
    pub http: mdfs_service::Limits,
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
    /// How often the store looks for what nobody will finish.
    pub sweep_interval: Duration,
    /// Chunks that may be received at once.
    pub most_staged: usize,
    /// How long a chunk being received is kept without a new byte.
    pub staged_idle: Duration,
    /// Sealed chunks that are kept open.
    pub most_open: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            disk_threads: 16,
            read_buffer_bytes: 64 << 20,
            write_buffer_bytes: 32 << 20,
            queue_wait: Duration::from_secs(10),
            voter_inbox: 64,
            sweep_interval: Duration::from_secs(60),
            most_staged: 1024,
            staged_idle: Duration::from_secs(600),
            most_open: 512,
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MIB: u64 = 1 << 20;

impl Config {
    /// How long an accepted append leases a voter to its term, unless told otherwise.
    pub const LEASE: Duration = Duration::from_secs(3);
    /// How often a worker beats, unless told otherwise.
    pub const HEARTBEAT: Duration = Duration::from_secs(1);
    /// How long a scrub of the whole disk takes, unless told otherwise.
    pub const SCRUB_EVERY: Duration = Duration::from_secs(7 * 24 * 3600);
    /// How long requests may go on after the worker was told to stop, unless told otherwise.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// What each setting may be that has bounds, those of [`Limits::SETTINGS`] and of
    /// [`mdfs_service::Limits::SETTINGS`] aside.
    pub const SETTINGS: &[Setting<Self>] = &[
        // Below it, a pause of a busy machine ends leases.
        Setting::span(
            "lease",
            |c| Some(c.lease.into()),
            Duration::from_millis(300),
            MINUTE,
        ),
        Setting::span(
            "heartbeat",
            |c| Some(c.heartbeat_interval.into()),
            Duration::from_millis(10),
            HOUR,
        ),
        Setting::size(
            "reserve",
            |c| c.reserve_bytes.map(Quantity::Size),
            0,
            1 << 60,
        ),
        Setting::size(
            "capacity",
            |c| c.capacity_bytes.map(Quantity::Size),
            MIB,
            1 << 60,
        ),
        Setting::size("copy_rate", |c| c.copy_rate.map(Quantity::Size), 1, 1 << 40),
        // Below it, an empty disk would keep a processor busy.
        Setting::span(
            "scrub_every",
            |c| Some(c.scrub_every.into()),
            SECOND,
            Duration::from_secs(365 * 24 * 3600),
        ),
    ];

    /// The usual spans and bounds.
    pub fn new(
        data_dir: PathBuf,
        name: String,
        masters: Vec<String>,
        cluster_key: ClusterKey,
    ) -> Self {
        Self {
            data_dir,
            name,
            url: None,
            zone: None,
            masters,
            cluster_key,
            other_cluster_key: None,
            heartbeat_interval: Self::HEARTBEAT,
            reserve_bytes: None,
            capacity_bytes: None,
            witness: false,
            copy_rate: None,
            scrub_every: Self::SCRUB_EVERY,
            lease: Self::LEASE,
            limits: Limits::default(),
            http: mdfs_service::Limits {
                grace: Self::GRACE,
                congestion: Some(mdfs_client::link::CONGESTION),
                ..mdfs_service::Limits::default()
            },
        }
    }

    /// Checks what one value says about another, and that every value can work at all.
    ///
    /// # Errors
    /// Names each setting that cannot work, with its value and what it must be.
    pub fn check(&self) -> Result<(), Faults> {
        let mut faults = Faults::new();
        for (setting, text) in [("name", Some(&self.name)), ("zone", self.zone.as_ref())] {
            let Some(text) = text else { continue };
            if text.is_empty() || text.len() > 253 || text.chars().any(char::is_control) {
                let must = "must be 1 to 253 bytes without control characters";
                faults.note(setting, format_args!("{text:?}"), must);
            }
        }
        for url in &self.masters {
            check_url("master", url, &mut faults);
        }
        if let Some(url) = &self.url {
            check_url("advertise_url", url, &mut faults);
        }
        Setting::check(Self::SETTINGS, self, &mut faults);
        Setting::check(Limits::SETTINGS, &self.limits, &mut faults);
        Setting::check(mdfs_service::Limits::SETTINGS, &self.http, &mut faults);
        faults.none()
    }
}

impl Limits {
    /// What each limit may be.
    pub const SETTINGS: &[Setting<Self>] = &[
        Setting::count("disk_threads", |c| Some(c.disk_threads.into()), 1, 256),
        // One piece of the largest size must fit, or a request would wait for ever.
        Setting::size(
            "read_buffer",
            |c| Some(Quantity::Size(c.read_buffer_bytes)),
            4 * MIB,
            16 << 30,
        ),
        Setting::size(
            "write_buffer",
            |c| Some(Quantity::Size(c.write_buffer_bytes)),
            4 * MIB,
            16 << 30,
        ),
        Setting::span(
            "queue_wait",
            |c| Some(c.queue_wait.into()),
            Duration::from_millis(1),
            Duration::from_secs(600),
        ),
        Setting::count("log_queue", |c| Some(c.voter_inbox.into()), 1, 4096),
        Setting::span(
            "sweep_every",
            |c| Some(c.sweep_interval.into()),
            SECOND,
            DAY,
        ),
        Setting::count("max_staged", |c| Some(c.most_staged.into()), 1, 65_536),
        Setting::span("staged_idle", |c| Some(c.staged_idle.into()), MINUTE, DAY),
        Setting::count("max_open_chunks", |c| Some(c.most_open.into()), 1, 65_536),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_protocol::access::Secret;

    fn config() -> Config {
        let key = ClusterKey::new(&Secret::new(&[b'k'; 32]).unwrap());
        let masters = vec!["http://127.0.0.1:8080".to_owned()];
        Config::new("data".into(), "w0".to_owned(), masters, key)
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Config), want: &[&str]) {
        let mut config = config();
        change(&mut config);
        let faults = config.check().err().unwrap_or_default();
        let found: Vec<_> = faults.all().iter().map(|fault| fault.setting).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn each_setting_that_cannot_work_is_named() {
        check(|_| {}, &[]);
        check(|c| c.url = Some("http://10.0.0.7:8081".to_owned()), &[]);
        check(|c| c.name.clear(), &["name"]);
        check(|c| c.zone = Some("a\n".to_owned()), &["zone"]);
        check(|c| c.masters.clear(), &[]);
        check(|c| c.masters.push("10.0.0.7:8080".to_owned()), &["master"]);
        check(
            |c| c.url = Some("http://h:1/path".to_owned()),
            &["advertise_url"],
        );
        check(|c| c.heartbeat_interval = Duration::ZERO, &["heartbeat"]);
        check(|c| c.lease = Duration::from_millis(1), &["lease"]);
        check(|c| c.capacity_bytes = Some(1), &["capacity"]);
        check(|c| c.copy_rate = Some(0), &["copy_rate"]);
        check(|c| c.limits.voter_inbox = 0, &["log_queue"]);
        check(|c| c.http.max_connections = 0, &["max_connections"]);
    }

    #[test]
    fn all_settings_that_cannot_work_are_named_at_once() {
        let many = |c: &mut Config| {
            c.name.clear();
            c.scrub_every = Duration::ZERO;
            c.limits.disk_threads = 0;
            c.limits.read_buffer_bytes = 1;
            c.limits.sweep_interval = Duration::ZERO;
            c.http.body_rate = 0;
        };
        let want = [
            "name",
            "scrub_every",
            "disk_threads",
            "read_buffer",
            "sweep_every",
            "body_rate",
        ];
        check(many, &want);
    }
}
