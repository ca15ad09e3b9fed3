//! What every MDFS server process needs, and nothing of what MDFS does: clock, chance, tracked
//! tasks, the accept loop, metrics.
//!
//! These are the only places that read clocks, draw chance, start tasks, and know `prometheus`.

pub mod chance;
pub mod clock;
pub mod metrics;
pub mod serve;
pub mod tasks;

pub use clock::Clock;
pub use serve::{ConnectionClosed, Limits, Peer, RequestId, serve};
pub use tasks::Tasks;
