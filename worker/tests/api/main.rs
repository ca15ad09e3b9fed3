//! The routes of a worker: status, code and body of every answer that a caller relies on.

#[cfg(test)]
mod access;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod chunks;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod faulty;
#[cfg(test)]
mod generation;
#[cfg(test)]
mod holdings;
#[cfg(test)]
mod local;
#[cfg(test)]
mod log;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod scrub;
#[cfg(test)]
mod support;
