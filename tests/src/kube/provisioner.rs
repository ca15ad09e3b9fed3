//! The thread that makes, grows and removes the bed's volumes, as long as the bed is there.

use super::kubectl::Kubectl;
use super::volumes::{Place, provide};
use crate::wait::pause;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the provisioner knows of the nodes.
pub(super) type Places = Arc<Mutex<BTreeMap<String, Place>>>;

/// How soon what could not be done is tried again, such as on a node that is down.
const AGAIN: Duration = Duration::from_secs(2);
/// How soon all is looked at even if nothing was heard.
const LONG: Duration = Duration::from_secs(20);

/// A running provisioner. It ends once it is told to and the API server is gone.
#[derive(Debug)]
pub(super) struct Provisioner {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Provisioner {
    pub(super) fn start(kubectl: &Kubectl, places: &Places) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        // One note that something changed is as good as many.
        let (changed, changes) = sync_channel(1);
        let mut threads: Vec<_> = ["pvc", "pv"]
            .into_iter()
            .map(|kind| {
                let (kubectl, changed, stop) = (kubectl.clone(), changed.clone(), stop.clone());
                std::thread::spawn(move || watch(&kubectl, kind, &changed, &stop))
            })
            .collect();
        let (kubectl, places, ends) = (kubectl.clone(), places.clone(), stop.clone());
        threads.push(std::thread::spawn(move || {
            work(&kubectl, &places, &changes, &ends);
        }));
        Self { stop, threads }
    }

    /// Tells it to end.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until it has ended.
    pub(super) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

/// Notes each change of an object of this kind.
fn watch(kubectl: &Kubectl, kind: &str, changed: &SyncSender<()>, stop: &AtomicBool) {
    let arguments = ["get", kind, "--all-namespaces", "--watch", "--output=name"];
    while !stop.load(Ordering::Relaxed) {
        let mut command = kubectl.command(&arguments);
        command.env("MDFS_ENDS_WITH_PARENT", "yes");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        if let Ok(mut child) = command.spawn() {
            let lines = child.stdout.take().map(BufReader::new);
            for _ in lines.into_iter().flat_map(BufRead::lines) {
                changed.try_send(()).ok();
            }
            child.wait().ok();
        }
        // The API server may be away for a while, on purpose.
        pause(Duration::from_millis(500));
    }
}

fn work(kubectl: &Kubectl, places: &Places, changes: &Receiver<()>, stop: &AtomicBool) {
    let mut patience = AGAIN;
    let mut said = String::new();
    while !stop.load(Ordering::Relaxed) {
        // Also the end of the time is a reason to look, and so is the end of both watches.
        changes.recv_timeout(patience).ok();
        let nodes = places
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match provide(kubectl, &nodes) {
            Ok(()) => patience = LONG,
            Err(error) => {
                patience = AGAIN;
                let error = format!("{error:#}");
                if error != said && !stop.load(Ordering::Relaxed) {
                    println!("volumes: {error}");
                    said = error;
                }
            }
        }
    }
}
