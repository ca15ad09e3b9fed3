//! The bed's network: one bridge, a link to each node, and no way out.
//!
//! All addresses are of 198.18.0.0/15, which is for tests of networks and is routed nowhere.

use super::control_plane::SERVICES;
use super::machine::Machine;
use crate::command::succeed;
use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Where the control plane and the cluster's DNS are.
pub(super) const CONTROL: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The addresses of all pods.
pub(super) const PODS: &str = "198.19.0.0/16";
/// The bridge that links the nodes.
const BRIDGE: &str = "bed0";
/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Where the node with this number is.
pub(super) fn node_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 0, number.saturating_add(10))
}

/// The addresses of the pods on the node with this number.
pub(super) fn pod_range(number: u8) -> String {
    format!("198.19.{number}.0/24")
}

/// Moves this thread into the network of a machine: all that it connects to, and every thread and
/// process that it starts from here on, are in there.
///
/// # Errors
/// Without root.
pub(super) fn enter(machine: &Machine) -> Result<()> {
    let network = File::open(format!("/proc/{}/ns/net", machine.pid()))?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        .context("enter the bed's network")
}

/// Makes the bridge, in the network that this thread is in.
///
/// # Errors
/// If a command fails.
pub(super) fn make_bridge() -> Result<()> {
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["address", "add", &format!("{CONTROL}/17"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])?;
    ip(&["route", "add", SERVICES, "dev", BRIDGE])?;
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    // Frames on the bridge are not for the rules of Services here.
    let filtered = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
    if filtered.exists() {
        std::fs::write(filtered, "0")?;
    }
    Ok(())
}

/// Links the node with this number, of `nodes` in all. It is a new machine.
///
/// # Errors
/// If a command fails.
pub(super) fn link_node(machine: &Machine, number: u8, nodes: u8) -> Result<()> {
    let address = node_address(number);
    let port = format!("node-{number}");
    let pid = machine.pid().to_string();
    ip(&[
        "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &pid,
    ])?;
    ip(&["link", "set", &port, "master", BRIDGE, "up"])?;
    let route = pod_range(number);
    ip(&["route", "replace", &route, "via", &address.to_string()])?;
    let inside = |words: &[&str]| {
        let mut command = Machine::enter(machine.pid(), Path::new("ip"));
        succeed(command.args(words), LIMIT).map(drop)
    };
    inside(&["link", "set", "lo", "up"])?;
    inside(&["address", "add", &format!("{address}/17"), "dev", "eth0"])?;
    inside(&["link", "set", "eth0", "up"])?;
    inside(&["route", "add", SERVICES, "dev", "eth0"])?;
    for other in (1..=nodes).filter(|other| *other != number) {
        let via = node_address(other).to_string();
        inside(&["route", "add", &pod_range(other), "via", &via])?;
    }
    let mut forward = Machine::enter(machine.pid(), Path::new("sh"));
    forward.args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    succeed(&mut forward, LIMIT).map(drop)
}

fn ip(words: &[&str]) -> Result<()> {
    succeed(Command::new("ip").args(words), LIMIT).map(drop)
}
