//! Servers started beside a cluster: one that was killed again, or one more.

use super::{DevCluster, MARK, Process};
use crate::process::{Fault, inflict, is_running};
use anyhow::{Context, Result, ensure};
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Role {
    process: Process,
    command: Vec<String>,
}

impl Role {
    /// How `process` was started. It must still run.
    ///
    /// # Errors
    /// If it is gone.
    pub fn of(process: &Process) -> Result<Self> {
        let line = fs::read(format!("/proc/{}/cmdline", process.pid))
            .with_context(|| format!("read how {} was started", process.name))?;
        let line = String::from_utf8(line)?;
        let mut words = line.split_terminator('\0');
        let mut command = Vec::new();
        while let Some(word) = words.next() {
            if word == "--exit-with-parent" {
                // Its parent is another now.
                words.next();
            } else {
                command.push(word.to_owned());
            }
        }
        ensure!(!command.is_empty(), "{} has ended", process.name);
        Ok(Self {
            process: process.clone(),
            command,
        })
    }

    /// The same for one more worker, with a disk of its own beside this one's.
    ///
    /// # Errors
    /// If this is no worker, or no port is free.
    pub fn another(&self, name: &str) -> Result<Self> {
        let data_dir = self.process.data_dir.as_ref();
        let data_dir = data_dir.context("only workers have disks")?;
        let data_dir = data_dir.with_file_name(name);
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = self.command.clone();
        let path = data_dir.to_str().context("the folder is not UTF-8")?;
        for (flag, value) in [
            ("--listen", address.to_string()),
            ("--data-dir", path.to_owned()),
            ("--name", name.to_owned()),
        ] {
            let place = command.iter().position(|word| word == flag);
            let slot = place.and_then(|place| command.get_mut(place + 1));
            *slot.with_context(|| format!("it has no {flag}"))? = value;
        }
        let process = Process {
            name: name.to_owned(),
            data_dir: Some(data_dir),
            url: Some(format!("http://{address}")),
            ..self.process.clone()
        };
        Ok(Self { process, command })
    }

    /// Gives a flag this value, whether it had one or not.
    pub fn set(&mut self, flag: &str, value: &str) {
        let place = self.command.iter().position(|word| word == flag);
        match place.and_then(|place| self.command.get_mut(place + 1)) {
            Some(slot) => *slot = value.to_owned(),
            None => self.command.extend([flag.to_owned(), value.to_owned()]),
        }
    }

    /// Says one word more to it, such as a flag that takes no value.
    pub fn say(&mut self, word: &str) {
        self.command.push(word.to_owned());
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.process.name
    }

    /// Its disk, if it is a worker.
    ///
    /// # Errors
    /// If it is none.
    pub fn disk(&self) -> Result<PathBuf> {
        let data_dir = self.process.data_dir.clone();
        data_dir.with_context(|| format!("{} has no disk", self.name()))
    }
}

impl DevCluster {
    /// Starts a server beside the cluster. It ends with the cluster, and nobody starts it again.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_by_hand(&mut self, role: &Role) -> Result<Process> {
        let log = OpenOptions::new()
            .append(true)
            .open(self.folder.path().join("log"))?;
        // Any connection may have taken the port of one that was killed, for a while.
        let flag = role.command.iter().position(|word| word == "--listen");
        let address = flag.and_then(|flag| role.command.get(flag + 1));
        let address = address.context("it has no --listen")?;
        crate::wait::wait_for("free port", super::READY_LIMIT, || {
            Ok(Some(TcpListener::bind(address)?))
        })?;
        let (program, arguments) = role.command.split_first().context("an empty command")?;
        let child = Command::new(program)
            .args(arguments)
            .env(MARK, &self.mark)
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", role.name()))?;
        let process = Process {
            pid: i32::try_from(child.id())?,
            ..role.process.clone()
        };
        self.by_hand.push(child);
        let processes = &mut self.state.processes;
        processes.retain(|one| one.name != process.name);
        processes.push(process.clone());
        Ok(process)
    }

    /// Stops a server that was started beside the cluster, as an operator does, and waits until it
    /// is gone.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn stop_by_hand(&mut self, process: &Process) -> Result<()> {
        inflict(Fault::Terminate, process.pid)?;
        crate::wait::wait_for("end of a stopped server", super::STOP_LIMIT, || {
            Ok((!is_running(process.pid)).then_some(()))
        })
    }
}
