//! What a master is told at its start, checked.

use crate::gateway;
use mdfs_core::detect::{DetectSettings, InvalidDetectSettings};
use mdfs_core::id::ClusterId;
use mdfs_protocol::access::{ClusterKey, Secret};
use mdfs_protocol::link::LinkKey;
use mdfs_service::settings::{Faults, Setting, Span, check_url};
use std::time::Duration;

/// Everything a master is told. It keeps nothing on disk, so this and the voters are all it has.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where workers and other masters reach this one; the address it listens on if none.
    pub url: Option<String>,
    /// Where workers are asked who they are, so that they beat here: URLs, each of a worker, or with a
    /// name that stands for all of them.
    pub seeds: Vec<String>,
    /// The cluster it serves. Without it, a master serves the cluster that all disks agree on that
    /// beat at it, 6 s after the first of them.
    pub cluster: Option<ClusterId>,
    /// The key that the servers of the cluster share.
    pub cluster_key: ClusterKey,
    /// The token that may do everything; a second one while it is rotated.
    pub root_tokens: Vec<Secret>,
    /// The key that links are signed with; a second one while it is rotated.
    pub link_keys: Vec<LinkKey>,
    /// How long it waits, and for how much.
    pub limits: Limits,
    /// What the gateway bears.
    pub gateway: gateway::Limits,
    /// What the HTTP interface bears, and which proxies are believed.
    pub http: mdfs_service::Limits,
    /// What there is for browsers.
    pub console: Console,
}

/// What there is for browsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// Whether there is anything: the pages, and sessions that cookies stand for.
    pub enabled: bool,
    /// What people call the cluster.
    pub cluster_name: Option<String>,
    /// Where dashboards of the cluster are, for a link.
    pub grafana: Option<String>,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            enabled: true,
            cluster_name: None,
            grafana: None,
        }
    }
}

/// How long a master waits, and how much it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The lease that voters give: the same as the workers are told.
    pub lease: Duration,
    /// How often workers beat: the same as they are told.
    pub heartbeat: Duration,
    /// The silence after which a worker is dead.
    pub dead_after: Duration,
    /// How long a dead worker is waited for before its chunks are copied elsewhere: what the policy of
    /// a cluster says that this master starts, in whole seconds.
    pub repair_delay: Duration,
    /// How long a deleted or replaced file stays in the trash, in log time; likewise.
    pub trash_keep: Duration,
    /// How long a voter may be away before another worker votes in its place.
    pub voter_patience: Duration,
    /// How long a few workers must have been silent before anything is dropped without their word.
    pub drop_after: Duration,
    /// How long a request is held while nobody leads.
    pub leader_wait: Duration,
    /// How long an upload may be idle before it is ended.
    pub upload_idle: Duration,
    /// Uploads that clients may come back to, open at a time.
    pub most_sessions: usize,
    /// How many wrong tokens and links are looked at.
    pub failures: Failures,
}

/// How many wrong tokens and links are looked at: so many at once, then one after each span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// Of one address, at once.
    pub of_one: usize,
    /// Of one address, one more after this.
    pub of_one_every: Duration,
    /// Of all addresses together, at once.
    pub of_all: usize,
    /// Of all addresses together, one more after this.
    pub of_all_every: Duration,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            of_one: 60,
            of_one_every: Duration::from_millis(500),
            of_all: 2000,
            of_all_every: Duration::from_millis(5),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(3),
            heartbeat: Duration::from_secs(1),
            dead_after: Duration::from_secs(15),
            repair_delay: Duration::from_secs(300),
            trash_keep: Duration::from_secs(30 * 24 * 3600),
            voter_patience: Duration::from_secs(600),
            drop_after: Duration::from_secs(600),
            leader_wait: Duration::from_secs(10),
            upload_idle: Duration::from_secs(24 * 3600),
            most_sessions: 1024,
            failures: Failures::default(),
        }
    }
}

/// Missed beats after which a worker is suspect.
const SUSPECT_AFTER: u32 = 3;

/// Below it, a pause of a busy machine ends leases.
const LEASE_LEAST: Duration = Duration::from_millis(300);
const BEAT_LEAST: Duration = Duration::from_millis(10);
const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
const YEARS: Duration = Duration::from_secs(3650 * 24 * 3600);

impl Limits {
    /// What each limit may be.
    pub const SETTINGS: &[Setting<Self>] = &[
        Setting::span("lease", |c| Some(c.lease.into()), LEASE_LEAST, MINUTE),
        Setting::span("heartbeat", |c| Some(c.heartbeat.into()), BEAT_LEAST, HOUR),
        Setting::span("dead_after", |c| Some(c.dead_after.into()), SECOND, HOUR),
        Setting::span(
            "repair_delay",
            |c| Some(c.repair_delay.into()),
            Duration::ZERO,
            MONTH,
        ),
        Setting::span(
            "trash_keep",
            |c| Some(c.trash_keep.into()),
            Duration::ZERO,
            YEARS,
        ),
        Setting::span(
            "voter_patience",
            |c| Some(c.voter_patience.into()),
            SECOND,
            MONTH,
        ),
        Setting::span("drop_after", |c| Some(c.drop_after.into()), MINUTE, MONTH),
        Setting::span(
            "leader_wait",
            |c| Some(c.leader_wait.into()),
            Duration::ZERO,
            HOUR,
        ),
        Setting::span("upload_idle", |c| Some(c.upload_idle.into()), MINUTE, MONTH),
        Setting::count(
            "max_uploads",
            |c| Some(c.most_sessions.into()),
            1,
            1_000_000,
        ),
        Setting::count(
            "failures_of_one",
            |c| Some(c.failures.of_one.into()),
            1,
            1_000_000,
        ),
        Setting::span(
            "failures_of_one_every",
            |c| Some(c.failures.of_one_every.into()),
            MILLI,
            DAY,
        ),
        Setting::count(
            "failures_of_all",
            |c| Some(c.failures.of_all.into()),
            1,
            1_000_000,
        ),
        Setting::span(
            "failures_of_all_every",
            |c| Some(c.failures.of_all_every.into()),
            MILLI,
            DAY,
        ),
    ];

    /// When the silence of a worker means something.
    ///
    /// # Errors
    /// If the heartbeat interval and the silence that means death do not go together.
    pub fn detect(&self) -> Result<DetectSettings, InvalidDetectSettings> {
        DetectSettings::new(self.heartbeat, SUSPECT_AFTER, self.dead_after)
    }

    /// How long nothing may come on a worker's connection of heartbeats before it is ended: the worker
    /// counts as dead long before, however seldom workers beat.
    pub fn beat_silence(&self) -> Duration {
        self.dead_after.saturating_mul(4)
    }
}

impl Config {
    /// How long requests under way may take when the process stops, unless told otherwise.
    pub const GRACE: Duration = Duration::from_secs(8);

    /// Connections at a time of one address that is no trusted proxy, unless told otherwise.
    pub const MAX_CONNECTIONS_OF_ONE: usize = 1024;

    /// What each setting may be that has bounds, those of [`Limits::SETTINGS`], of
    /// [`gateway::Limits::SETTINGS`] and of [`mdfs_service::Limits::SETTINGS`] aside.
    pub const SETTINGS: &[Setting<Self>] = &[
        Setting::count(
            "max_connections_of_one",
            |c| Some(c.http.connections_of_one.into()),
            1,
            65_536,
        ),
        Setting::span(
            "shutdown_delay",
            |c| Some(c.http.shutdown_delay.into()),
            Duration::ZERO,
            HOUR,
        ),
    ];

    /// How long it is remembered how such an upload ended: a day of log time.
    pub const KEEP_ENDED: Duration = Duration::from_secs(24 * 3600);

    /// Chunks recorded of them all together at most: an entry of the log, and about 150 bytes of the
    /// leader's memory, for each.
    pub const MOST_RECORDED: u64 = 1_000_000;

    /// The usual spans and bounds.
    pub fn new(cluster_key: ClusterKey, root_token: Secret, link_key: LinkKey) -> Self {
        Self {
            url: None,
            seeds: Vec::new(),
            cluster: None,
            cluster_key,
            root_tokens: vec![root_token],
            link_keys: vec![link_key],
            limits: Limits::default(),
            gateway: gateway::Limits::default(),
            console: Console::default(),
            http: mdfs_service::Limits {
                connections_of_one: Self::MAX_CONNECTIONS_OF_ONE,
                grace: Self::GRACE,
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
        for (setting, given) in [
            ("root_token_file", self.root_tokens.len()),
            ("link_key_file", self.link_keys.len()),
        ] {
            if !(1..=2).contains(&given) {
                let must = "must be one, or two while it is rotated";
                faults.note(setting, format_args!("given {given} times"), must);
            }
        }
        if let Some(url) = &self.url {
            check_url("advertise_url", url, &mut faults);
        }
        for url in &self.seeds {
            check_url("seed", url, &mut faults);
        }
        Setting::check(Limits::SETTINGS, &self.limits, &mut faults);
        if self.limits.detect().is_err() {
            let beats = self.limits.heartbeat.saturating_mul(SUSPECT_AFTER);
            let must = format!(
                "must be at least {SUSPECT_AFTER} times heartbeat, {}",
                Span(beats)
            );
            faults.note("dead_after", Span(self.limits.dead_after), must);
        }
        for (setting, span) in [
            ("repair_delay", self.limits.repair_delay),
            ("trash_keep", self.limits.trash_keep),
        ] {
            if span.subsec_nanos() != 0 {
                faults.note(
                    setting,
                    Span(span),
                    "must be whole seconds, as in the policy",
                );
            }
        }
        if self.limits.drop_after < self.limits.dead_after {
            let must = format!(
                "must be at least dead_after, {}",
                Span(self.limits.dead_after)
            );
            faults.note("drop_after", Span(self.limits.drop_after), must);
        }
        Setting::check(gateway::Limits::SETTINGS, &self.gateway, &mut faults);
        Setting::check(Self::SETTINGS, self, &mut faults);
        Setting::check(mdfs_service::Limits::SETTINGS, &self.http, &mut faults);
        faults.none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Config), want: &str) {
        let secret = || Secret::new(&[b'k'; 32]).unwrap();
        let mut config = Config::new(ClusterKey::new(&secret()), secret(), LinkKey::new(secret()));
        change(&mut config);
        let faults = config.check().err().unwrap_or_default();
        assert_eq!(faults.to_string(), want);
    }

    #[test]
    fn a_connection_of_heartbeats_outlives_the_time_between_two_of_them() {
        let silence = |heartbeat, dead_after| {
            let limits = Limits {
                heartbeat,
                dead_after,
                ..Limits::default()
            };
            limits.beat_silence()
        };
        assert_eq!(silence(SECOND, 15 * SECOND), 60 * SECOND);
        assert_eq!(silence(20 * 60 * SECOND, HOUR), 4 * HOUR);
    }

    #[test]
    fn all_settings_that_cannot_work_are_named_with_value_and_what_they_must_be() {
        check(|_| {}, "");
        check(
            |c| c.limits.lease = 299 * MILLI,
            "lease is 299ms: must be 300ms to 1m",
        );
        check(
            |c| c.limits.heartbeat = 6 * SECOND,
            "dead_after is 15s: must be at least 3 times heartbeat, 18s",
        );
        check(
            |c| c.limits.repair_delay = 1500 * MILLI,
            "repair_delay is 1500ms: must be whole seconds, as in the policy",
        );
        check(
            |c| c.limits.dead_after = HOUR,
            "drop_after is 10m: must be at least dead_after, 1h",
        );
        let many = |c: &mut Config| {
            c.root_tokens.clear();
            c.url = Some("https://h".to_owned());
            c.limits.most_sessions = 0;
            c.gateway.reads = 0;
            c.http.connections_of_one = 0;
            c.http.grace = 2 * HOUR;
        };
        check(
            many,
            "root_token_file is given 0 times: must be one, or two while it is rotated; \
             advertise_url is \"https://h\": must begin with http:// and a host; \
             max_uploads is 0: must be 1 to 1000000; max_reads is 0: must be 1 to 65536; \
             max_connections_of_one is 0: must be 1 to 65536; grace is 2h: must be 0s to 1h",
        );
    }
}
