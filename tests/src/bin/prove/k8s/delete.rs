//! Deleting a cluster keeps its films, unless it was said twice that they go too.

use super::installed::{Mdfs, PATIENCE, image, install, small_spec};
use super::load::{read_back, store};
use super::{Form, with_bed};
use crate::figures::figure;
use anyhow::{Result, ensure};
use mdfs_tests::wait::{now, wait_for};
use serde_json::{Value, json};

pub(crate) fn prove(form: Form) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-k8s-")?;
    let images = [image(folder.path())?];
    let count = if form.short { 30 } else { 1_000 };
    with_bed(form.keep, &images, |bed| {
        install(bed)?;
        let mdfs = Mdfs::new(bed, "films", "films");
        mdfs.create(&small_spec())?;
        mdfs.wait_ready(PATIENCE)?;
        let files = store(&mdfs, "delete", count)?;
        let secrets = objects(&mdfs, "secrets")?;

        delete(&mdfs)?;
        ensure!(objects(&mdfs, "pvc")?.len() == 3, "volumes went");
        let left = objects(&mdfs, "secrets")?;
        ensure!(
            ["films-identity", "films-access"]
                .iter()
                .all(|name| left.contains(&(*name).to_owned())),
            "of the Secrets {secrets:?} are left {left:?}"
        );
        let again = now();
        mdfs.create(&small_spec())?;
        mdfs.wait_ready(PATIENCE)?;
        read_back(&mdfs, &files)?;
        figure(
            "a cluster made again has its films",
            &format!("after {:.1} s", again.elapsed().as_secs_f64()),
        );

        let mut spec = small_spec();
        if let Some(spec) = spec.as_object_mut() {
            spec.insert(
                "volumeRetention".to_owned(),
                json!({ "whenDeleted": "Delete", "deletionConfirmation": "delete all files of films" }),
            );
        }
        mdfs.change(&spec)?;
        mdfs.wait_ready(PATIENCE)?;
        delete(&mdfs)?;
        for kind in ["pvc", "secrets", "statefulsets", "services"] {
            wait_gone(&mdfs, kind)?;
        }
        Ok(())
    })
}

/// Deletes the resource, and waits until its pods are gone too.
fn delete(mdfs: &Mdfs) -> Result<()> {
    mdfs.call(&["delete", "mdfscluster", &mdfs.name, "--wait=false"])?;
    for kind in ["mdfscluster", "pods"] {
        wait_gone(mdfs, kind)?;
    }
    Ok(())
}

/// Waits until there is no object of a kind.
fn wait_gone(mdfs: &Mdfs, kind: &str) -> Result<()> {
    wait_for(&format!("end of all {kind}"), PATIENCE, || {
        let left = objects(mdfs, kind)?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(Some(()))
    })
}

/// The names of the objects of a kind.
fn objects(mdfs: &Mdfs, kind: &str) -> Result<Vec<String>> {
    let found = mdfs.get(&[kind])?;
    let items = found.pointer("/items").and_then(Value::as_array);
    let name = |item: &Value| Some(item.pointer("/metadata/name")?.as_str()?.to_owned());
    Ok(items.into_iter().flatten().filter_map(name).collect())
}
