//! The settings of a worker.

use super::{CONNECTIONS, DISK, NETWORK, ServerArgs, TRANSFERS};
use clap::{ArgAction, Args};
use mdfs_service::settings::{Size, Span};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a worker is started with.
#[derive(Args, Clone, Debug)]
pub struct WorkerArgs {
    /// Address to listen on
    #[arg(
        long,
        help_heading = NETWORK,
        env = "MDFS_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8081"
    )]
    pub listen: SocketAddr,
    /// Name shown to people
    #[arg(long, help_heading = NETWORK, env = "MDFS_NAME", value_name = "NAME")]
    pub name: String,
    /// Failure domain, such as a rack: copies go to different ones when possible [default: none]
    #[arg(long, help_heading = NETWORK, env = "MDFS_ZONE", value_name = "ZONE")]
    pub zone: Option<String>,
    /// URL of a master, or with a name that stands for several; may be given more than once. The worker
    /// beats at all masters that these know of [default: none, a master has it for a seed]
    #[arg(
        long,
        help_heading = NETWORK,
        env = "MDFS_MASTER",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub master: Vec<String>,
    /// Folder of the disk; formatted when it is empty, refused when it holds anything else
    #[arg(long, help_heading = DISK, env = "MDFS_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// What all servers have in common
    #[command(flatten)]
    pub server: ServerArgs,
    /// What chunks may have in all, footers included; the worker is full then, and gets no larger
    /// share of the chunks than that [default: the file system]
    #[arg(long, help_heading = DISK, env = "MDFS_CAPACITY", value_name = "SIZE")]
    pub capacity: Option<Size>,
    /// Keep no chunks, only the metadata log, and vote: a third voter beside two workers. It counts when
    /// the disk joins the cluster
    #[arg(
        long,
        help_heading = DISK,
        env = "MDFS_WITNESS",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    pub witness: bool,
    /// What chunks leave free for the metadata log [default: 5 % of the file system, at least 1 GiB or
    /// 10 %, whichever is less]
    #[arg(long, help_heading = DISK, env = "MDFS_RESERVE", value_name = "SIZE")]
    pub reserve: Option<Size>,
    /// Within this time everything on the disk is read once
    #[arg(
        long,
        help_heading = DISK,
        env = "MDFS_SCRUB_EVERY",
        value_name = "TIME",
        default_value_t = Span(mdfs_worker::Config::SCRUB_EVERY)
    )]
    pub scrub_every: Span,
    /// Bytes a second that are copied from other workers at most, to heal or to move; copies yield to
    /// clients in any case [default: as fast as disks and network are]
    #[arg(long, help_heading = DISK, env = "MDFS_COPY_RATE", value_name = "SIZE/s")]
    pub copy_rate: Option<Size>,
    /// Disk calls under way at once for reads, and as many for writes
    #[arg(
        long,
        help_heading = DISK,
        env = "MDFS_DISK_THREADS",
        value_name = "N",
        default_value_t = mdfs_worker::Limits::default().disk_threads
    )]
    pub disk_threads: usize,
    /// Memory for bytes on their way from the disk to a reader
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_READ_BUFFER",
        value_name = "SIZE",
        default_value_t = Size(mdfs_worker::Limits::default().read_buffer_bytes)
    )]
    pub read_buffer: Size,
    /// Memory for bytes on their way from a writer to the disk
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_WRITE_BUFFER",
        value_name = "SIZE",
        default_value_t = Size(mdfs_worker::Limits::default().write_buffer_bytes)
    )]
    pub write_buffer: Size,
    /// How long a request waits for a thread or a buffer before it is told to come back
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_QUEUE_WAIT",
        value_name = "TIME",
        default_value_t = Span(mdfs_worker::Limits::default().queue_wait)
    )]
    pub queue_wait: Span,
    /// Messages of the metadata log that may wait for the voter
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_LOG_QUEUE",
        value_name = "N",
        default_value_t = mdfs_worker::Limits::default().voter_inbox
    )]
    pub log_queue: usize,
    /// Chunks that may be received at once
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_MAX_STAGED",
        value_name = "N",
        default_value_t = mdfs_worker::Limits::default().most_staged
    )]
    pub max_staged: usize,
    /// How long a chunk being received is kept without a new byte
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_STAGED_IDLE",
        value_name = "TIME",
        default_value_t = Span(mdfs_worker::Limits::default().staged_idle)
    )]
    pub staged_idle: Span,
    /// How often the disk is looked through for what nobody will finish
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_SWEEP_EVERY",
        value_name = "TIME",
        default_value_t = Span(mdfs_worker::Limits::default().sweep_interval)
    )]
    pub sweep_every: Span,
    /// Chunks whose files are kept open
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_MAX_OPEN_CHUNKS",
        value_name = "N",
        default_value_t = mdfs_worker::Limits::default().most_open
    )]
    pub max_open_chunks: usize,
    /// For requests under way when the server stops
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_GRACE",
        value_name = "TIME",
        default_value_t = Span(mdfs_worker::Config::GRACE)
    )]
    pub grace: Span,
}

impl WorkerArgs {
    pub(in crate::roles) fn limits(&self) -> mdfs_worker::Limits {
        mdfs_worker::Limits {
            disk_threads: self.disk_threads,
            read_buffer_bytes: self.read_buffer.0,
            write_buffer_bytes: self.write_buffer.0,
            queue_wait: self.queue_wait.0,
            voter_inbox: self.log_queue,
            sweep_interval: self.sweep_every.0,
            most_staged: self.max_staged,
            staged_idle: self.staged_idle.0,
            most_open: self.max_open_chunks,
        }
    }
}
