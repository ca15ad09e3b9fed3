//! Proofs of the operator on an API server of its own. There are no nodes: pods are asked for and never
//! run, and masters never answer. What the operator writes, and what it may, does not depend on them.

pub(crate) mod bench;
pub(crate) mod chart;
pub(crate) mod converged;
pub(crate) mod crash;
mod essence;
pub(crate) mod guard;
mod refused;
mod stage;
pub(crate) mod steps;
pub(crate) mod writes;
