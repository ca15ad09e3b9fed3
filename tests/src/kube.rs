//! A real Kubernetes on one machine, for tests: its components run as processes, its nodes in namespaces
//! of their own, and nothing of it can be reached from outside or reaches out.
//!
//! [`ControlPlane`] alone is for tests that need an API server and no pods; it needs no root.

mod bed;
mod control_plane;
mod daemon;
mod kubeconfig;
mod kubectl;
mod machine;
mod network;
mod node;
pub mod programs;
mod provisioner;
mod remains;
mod volumes;

pub use bed::{Bed, Mounts, image, running};
pub use control_plane::{ControlPlane, Options};
pub use kubectl::Kubectl;
pub use node::POD_IMAGE;
pub use volumes::{CLASS, FIXED_CLASS};
