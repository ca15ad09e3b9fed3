//! Machines of a network that can be parted in every way: each a network namespace with one address,
//! all joined to one in the middle, from which no route leads out. What a cut swallows, nobody hears of.
//!
//! Lives in a room of [`crate::isolation`], with which all of it is gone.

use crate::command::succeed;
use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// In which a change of the network must be done.
const LIMIT: Duration = Duration::from_secs(30);
/// The namespace in the middle, and its address: the last one of 198.18.0.0/16, which is for tests.
const MIDDLE: &str = "middle";
const MIDDLE_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 255, 254);
/// Most machines.
const MACHINES: u8 = 200;

/// The machines, and what lies between them.
#[derive(Debug)]
pub struct Network {
    machines: BTreeMap<String, Ipv4Addr>,
    cuts: BTreeSet<(String, String)>,
    unplugged: BTreeSet<String>,
}

/// The way to a machine.
#[derive(Debug)]
pub struct Door(File);

impl Door {
    /// Moves the thread that calls this there: what it and threads that it starts connect to from here
    /// on, they connect to from that machine.
    ///
    /// # Errors
    /// If this process may not.
    pub fn enter(&self) -> Result<()> {
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(self.0.as_fd(), kind).context("enter a machine")
    }
}

impl Network {
    /// A network without machines.
    ///
    /// # Errors
    /// If this process may not make one.
    pub fn new() -> Result<Self> {
        ip(&["netns", "add", MIDDLE])?;
        // What the middle forwards follows its rules, packet by packet.
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        let mut shell = inside(MIDDLE);
        succeed(shell.args(["sh", "-c", forward]), LIMIT)?;
        Ok(Self {
            machines: BTreeMap::new(),
            cuts: BTreeSet::new(),
            unplugged: BTreeSet::new(),
        })
    }

    /// Joins a machine of this name, at most 12 letters, and gives its address.
    ///
    /// # Errors
    /// If there is one already, or there are too many.
    pub fn join(&mut self, name: &str) -> Result<Ipv4Addr> {
        let number = u8::try_from(self.machines.len() + 1)?;
        ensure!(number <= MACHINES, "a network has {MACHINES} machines");
        let known = self.machines.contains_key(name) || name == MIDDLE;
        ensure!(!known, "two machines are called {name}");
        let address = Ipv4Addr::new(198, 18, 0, number);
        let (own, wire, middle) = (address.to_string(), wire(name), MIDDLE_ADDRESS.to_string());
        ip(&["netns", "add", name])?;
        let peer = ["type", "veth", "peer", "name", "wire", "netns", name];
        ip(&[&["-n", MIDDLE, "link", "add", &wire][..], &peer].concat())?;
        for command in [
            ["link", "set", "lo", "up"].as_slice(),
            &["link", "set", "wire", "up"],
            &["address", "add", &own, "dev", "wire"],
            &["route", "add", &middle, "dev", "wire"],
            &["route", "add", "198.18.0.0/16", "via", &middle],
        ] {
            ip(&[&["-n", name], command].concat())?;
        }
        ip(&["-n", MIDDLE, "address", "add", &middle, "dev", &wire])?;
        self.machines.insert(name.to_owned(), address);
        self.plug_in(name)?;
        Ok(address)
    }

    /// The address of a machine.
    ///
    /// # Errors
    /// If there is no such machine.
    pub fn address(&self, name: &str) -> Result<Ipv4Addr> {
        let address = self.machines.get(name).copied();
        address.with_context(|| format!("no machine is called {name}"))
    }

    /// `program` as a command that runs on this machine. Its process is the program's own.
    ///
    /// # Errors
    /// If there is no such machine.
    pub fn command(&self, name: &str, program: &Path) -> Result<Command> {
        self.address(name)?;
        let mut command = inside(name);
        command.arg(program);
        Ok(command)
    }

    /// The way to a machine, for threads of this process.
    ///
    /// # Errors
    /// If there is no such machine.
    pub fn door(&self, name: &str) -> Result<Door> {
        self.address(name)?;
        Ok(Door(File::open(format!("/run/netns/{name}"))?))
    }

    /// From here on, nothing that one of `from` sends reaches one of `to`. The other way it does.
    ///
    /// # Errors
    /// If the rules cannot be changed.
    pub fn cut<S: AsRef<str>>(&mut self, from: &[S], to: &[S]) -> Result<()> {
        let mut new = Vec::new();
        for (from, to) in from
            .iter()
            .flat_map(|from| to.iter().map(move |to| (from, to)))
        {
            let cut = (from.as_ref().to_owned(), to.as_ref().to_owned());
            if cut.0 != cut.1 && self.cuts.insert(cut.clone()) {
                new.push(cut);
            }
        }
        self.rules("add", &new)
    }

    /// From here on, none of `here` reaches one of `there`, nor the other way round.
    ///
    /// # Errors
    /// If the rules cannot be changed.
    pub fn part<S: AsRef<str>>(&mut self, here: &[S], there: &[S]) -> Result<()> {
        self.cut(here, there)?;
        self.cut(there, here)
    }

    /// Pulls the machine's cable, with which the routes to it go.
    ///
    /// # Errors
    /// If there is no such machine.
    pub fn unplug(&mut self, name: &str) -> Result<()> {
        ip(&["-n", MIDDLE, "link", "set", &wire(name), "down"])?;
        self.unplugged.insert(name.to_owned());
        Ok(())
    }

    /// Ends all cuts, and plugs everything in.
    ///
    /// # Errors
    /// If the rules cannot be changed.
    pub fn heal(&mut self) -> Result<()> {
        for name in std::mem::take(&mut self.unplugged) {
            self.plug_in(&name)?;
        }
        let cuts: Vec<_> = std::mem::take(&mut self.cuts).into_iter().collect();
        self.rules("delete", &cuts)
    }

    /// Whether both can hear each other.
    pub fn joins(&self, one: &str, other: &str) -> bool {
        let cut = |from: &str, to: &str| self.cuts.contains(&(from.to_owned(), to.to_owned()));
        let plugged = [one, other]
            .iter()
            .all(|name| !self.unplugged.contains(*name));
        plugged && !cut(one, other) && !cut(other, one)
    }

    fn plug_in(&self, name: &str) -> Result<()> {
        let (address, wire) = (self.address(name)?.to_string(), wire(name));
        ip(&["-n", MIDDLE, "link", "set", &wire, "up"])?;
        ip(&["-n", MIDDLE, "route", "replace", &address, "dev", &wire])
    }

    /// Adds or deletes the rules that swallow what these send.
    fn rules(&self, what: &str, cuts: &[(String, String)]) -> Result<()> {
        let mut batch = String::new();
        for (from, to) in cuts {
            let (from, to) = (self.address(from)?, self.address(to)?);
            batch.push_str(&format!("rule {what} from {from} to {to} blackhole\n"));
        }
        fs::write("/run/cuts", batch)?;
        ip(&["-n", MIDDLE, "-batch", "/run/cuts"])
    }
}

/// The middle's end of a machine's cable.
fn wire(name: &str) -> String {
    format!("to-{name}")
}

fn inside(namespace: &str) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net=/run/netns/{namespace}"))
        .arg("--");
    command
}

fn ip(words: &[&str]) -> Result<()> {
    succeed(Command::new("ip").args(words), LIMIT)?;
    Ok(())
}
