//! The front door: the chart is installed, one YAML is applied, and a film goes in and out.

use super::installed::{IMAGE, Mdfs, PATIENCE, image, install};
use super::{Form, with_bed};
use crate::MIB;
use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::succeed;
use mdfs_tests::content::Content;
use mdfs_tests::program::repository;
use mdfs_tests::transfer;
use mdfs_tests::wait::{now, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// How long the cluster may take to be ready, as promised.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// What the programs that ask may take themselves.
const SPARE: Duration = Duration::from_secs(10);

pub(crate) fn prove(form: Form) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-k8s-")?;
    let images = [image(folder.path())?];
    let length = if form.short {
        100 * MIB + 7
    } else {
        700 * MIB + 7
    };
    with_bed(form.keep, &images, |bed| {
        let asked = now();
        install(bed)?;
        figure("helm install, s", &seconds(asked.elapsed()));

        // The page's own file, with nothing changed; its image has another name here.
        let page = repository()?.join("manifests/cluster.yaml");
        let text = fs::read_to_string(&page)?;
        let named = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("image: "));
        bed.rename(IMAGE, named.context("the sample names an image")?)?;
        let page = page.display().to_string();
        let asked = now();
        bed.kubectl().call(&["apply", "--filename", &page])?;
        let words = ["get", "mdfs", "--all-namespaces"];
        let found = bed.kubectl().json(&words)?;
        let part = |pointer: &str| {
            let part = found.pointer(pointer).and_then(Value::as_str);
            part.map(str::to_owned)
                .with_context(|| format!("no {pointer}"))
        };
        let namespace = part("/items/0/metadata/namespace")?;
        let name = part("/items/0/metadata/name")?;
        let mdfs = Mdfs::new(bed, &namespace, &name);
        // Judged only in full: the machine that runs all short forms has other work too.
        let limit = if form.short { PATIENCE } else { READY_LIMIT };
        let mut wait = bed.kubectl().command(&[
            "wait",
            "--for=condition=Ready",
            &format!("mdfs/{name}"),
            &format!("--namespace={namespace}"),
            &format!("--timeout={}s", limit.as_secs()),
        ]);
        succeed(&mut wait, limit + SPARE)?;
        figure(
            "kubectl wait --for=condition=Ready, s",
            &seconds(asked.elapsed()),
        );
        ensure!(asked.elapsed() < limit, "ready after {:?}", asked.elapsed());

        let film = Content::new(1);
        let mut connection = mdfs.connect()?;
        transfer::put(&mut connection, "films/first.mkv", film, length)?;
        transfer::get(&mut connection, "films/first.mkv", film, length, |_| Ok(()))?;
        transfer::get_range(&mut connection, "films/first.mkv", film, length / 2, MIB)?;
        // The figures are of a moment: those from before the film say nothing of it.
        wait_for("the film in the status", PATIENCE, || {
            let resource = mdfs.resource()?;
            let files = resource.pointer("/status/data/files");
            Ok((files == Some(&json!(1))).then_some(()))
        })?;
        mdfs.wait_condition("DataSafe", "True", PATIENCE)?;
        let columns = mdfs.call(&["get", "mdfs"])?;
        println!("{columns}");
        let line = columns.lines().nth(1).context("one line a cluster")?;
        let words: Vec<&str> = line.split_whitespace().collect();
        ensure!(
            words.get(..5) == Some(&[name.as_str(), "True", "Healthy", "3", "3"]),
            "{columns}"
        );
        Ok(())
    })
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}
