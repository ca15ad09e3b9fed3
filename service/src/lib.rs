//! What every MDFS server process needs, and nothing of what MDFS does: clock, chance, threads,
//! tracked tasks, the accept loop, metrics, the limit of open files, settings and their bounds.
//!
//! These are the only places that read clocks, draw chance, start tasks, and know `prometheus`.

pub mod chance;
pub mod clock;
mod handles;
mod machine;
pub mod metrics;
pub mod serve;
pub mod settings;
pub mod tasks;
pub mod watch;

pub use clock::Clock;
pub use handles::raise_handle_limit;
pub use machine::{CallDied, Chance, Inline, Machine, Threads};
pub use serve::{
    ConnectionClosed, InvalidNetwork, Leaving, Limits, Network, Peer, RequestId, Upgrade, serve,
    serve_leaving,
};
pub use tasks::Tasks;
