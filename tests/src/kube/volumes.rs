//! Volumes: for each claim a file system of its own on a loop device, which can be full, and can grow.
//!
//! The provisioner is a client of the API like any other. A volume is a sparse file with XFS, mounted in
//! the machine of the node that the scheduler chose, and published as a `local` volume there. When the
//! claim asks for more, the file, its loop device and the file system grow, and then what the API says.

use super::kubectl::Kubectl;
use super::machine::Machine;
use crate::command::succeed;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The smallest file system that XFS makes.
const LEAST_BYTES: u64 = 300 << 20;
/// Who makes these volumes.
const PROVISIONER: &str = "mdfs.io/bed";
/// The class that claims get when they name none; its volumes can grow.
pub const CLASS: &str = "bed";
/// The class whose volumes cannot grow.
pub const FIXED_CLASS: &str = "bed-fixed";

/// Both classes, as a manifest.
pub(super) fn classes() -> String {
    let class = |name: &str, is_default: bool| {
        json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "annotations": {
                    "storageclass.kubernetes.io/is-default-class": is_default.to_string(),
                },
            },
            "provisioner": PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": is_default,
        })
    };
    let items = [class(CLASS, true), class(FIXED_CLASS, false)];
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

/// A node as the provisioner sees it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The node's folder.
    pub(super) folder: PathBuf,
    /// The first process of its machine; none while it does not run.
    pub(super) pid: Option<i32>,
}

/// Mounts every volume of a node again, in its new machine.
///
/// # Errors
/// If a file system is broken.
pub(super) fn mount_all(pid: i32, node: &Path) -> Result<()> {
    let folder = node.join("volumes");
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(volume) = name.strip_suffix(".xfs") {
            mount(pid, node, volume)?;
        }
    }
    Ok(())
}

/// Does what claims and volumes ask for, once. What cannot be done, such as on a node that is down, is
/// an error after everything else was done.
///
/// # Errors
/// If the API server does not answer, or something is left to do.
pub(super) fn provide(kubectl: &Kubectl, nodes: &BTreeMap<String, Place>) -> Result<()> {
    let found = kubectl.json(&["get", "pvc,pv", "--all-namespaces"])?;
    let items = found.pointer("/items").and_then(Value::as_array);
    let items = items.context("a list has items")?;
    let of_kind = |kind: &'static str| {
        items
            .iter()
            .filter(move |item| text(item, "/kind") == Some(kind))
    };
    let volumes: Vec<&Value> = of_kind("PersistentVolume")
        .filter(|volume| {
            text(
                volume,
                "/metadata/annotations/pv.kubernetes.io~1provisioned-by",
            ) == Some(PROVISIONER)
        })
        .collect();
    let mut left = Ok(());
    let mut note = |done: Result<()>| {
        if done.is_err() {
            left = done;
        }
    };
    for claim in of_kind("PersistentVolumeClaim") {
        let volume = text(claim, "/spec/volumeName");
        let volume = volumes
            .iter()
            .find(|one| volume.is_some() && text(one, "/metadata/name") == volume);
        match volume {
            Some(volume) => note(grow(kubectl, nodes, claim, volume)),
            None => note(make(kubectl, nodes, claim, &volumes)),
        }
    }
    for volume in volumes {
        if text(volume, "/status/phase") == Some("Released") {
            note(remove(kubectl, nodes, volume));
        }
    }
    left
}

/// Makes the volume of a claim for which the scheduler has chosen a node.
fn make(
    kubectl: &Kubectl,
    nodes: &BTreeMap<String, Place>,
    claim: &Value,
    volumes: &[&Value],
) -> Result<()> {
    let class = text(claim, "/spec/storageClassName").unwrap_or_default();
    let node = text(
        claim,
        "/metadata/annotations/volume.kubernetes.io~1selected-node",
    );
    let uid = text(claim, "/metadata/uid").context("a claim has a uid")?;
    let name = format!("pvc-{uid}");
    let is_made = volumes
        .iter()
        .any(|volume| text(volume, "/metadata/name") == Some(&name));
    let (Some(node), true, false) = (node, [CLASS, FIXED_CLASS].contains(&class), is_made) else {
        return Ok(());
    };
    let place = nodes
        .get(node)
        .with_context(|| format!("{node} is not of this bed"))?;
    let pid = place.pid.with_context(|| format!("{node} is down"))?;
    let bytes = bytes_of(claim, "/spec/resources/requests/storage")?.max(LEAST_BYTES);

    let file = place.folder.join("volumes").join(format!("{name}.xfs"));
    if !file.exists() {
        // The name says that the file system is whole.
        let half = file.with_extension("new");
        File::create(&half)?.set_len(bytes)?;
        let mut mkfs = Machine::enter(pid, Path::new("mkfs.xfs"));
        succeed(mkfs.args(["-q", "-f"]).arg(&half), LIMIT)?;
        fs::rename(&half, &file)?;
    }
    mount(pid, &place.folder, &name)?;
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": { "pv.kubernetes.io/provisioned-by": PROVISIONER },
        },
        "spec": {
            "capacity": { "storage": bytes.to_string() },
            "accessModes": claim.pointer("/spec/accessModes"),
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": class,
            "local": { "path": mount_point(&name) },
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.pointer("/metadata/namespace"),
                "name": claim.pointer("/metadata/name"),
                "uid": uid,
            },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{
                "matchExpressions": [
                    { "key": "kubernetes.io/hostname", "operator": "In", "values": [node] },
                ],
            }] } },
        },
    });
    kubectl.apply(&volume.to_string()).map(drop)
}

/// Makes the volume as large as its claim asks, if it is smaller.
fn grow(
    kubectl: &Kubectl,
    nodes: &BTreeMap<String, Place>,
    claim: &Value,
    volume: &Value,
) -> Result<()> {
    let wanted = bytes_of(claim, "/spec/resources/requests/storage")?;
    let has = bytes_of(volume, "/spec/capacity/storage")?;
    let says = bytes_of(claim, "/status/capacity/storage").unwrap_or(wanted);
    if text(claim, "/status/phase") != Some("Bound") || wanted <= has && wanted <= says {
        return Ok(());
    }
    let name = text(volume, "/metadata/name").context("a volume has a name")?;
    if wanted > has {
        let (place, pid) = place_of(nodes, volume)?;
        let file = place.folder.join("volumes").join(format!("{name}.xfs"));
        File::options().write(true).open(&file)?.set_len(wanted)?;
        let script = "for device in $(losetup --noheadings --output NAME --associated \"$1\"); do \
                      losetup --set-capacity \"$device\" || exit; done; xfs_growfs \"$2\"";
        let mut shell = Machine::enter(pid, Path::new("sh"));
        shell.args(["-ec", script, "sh"]).arg(&file);
        succeed(shell.arg(mount_point(name)), LIMIT)?;
        let capacity = json!({ "spec": { "capacity": { "storage": wanted.to_string() } } });
        let capacity = capacity.to_string();
        kubectl.call(&["patch", "pv", name, "--type", "merge", "--patch", &capacity])?;
    }
    let claims = text(claim, "/metadata/name").context("a claim has a name")?;
    let namespace = text(claim, "/metadata/namespace").context("a claim has a namespace")?;
    let asked = claim.pointer("/spec/resources/requests/storage");
    let status = json!({ "status": { "capacity": { "storage": asked }, "conditions": null } });
    let status = status.to_string();
    kubectl.call(&[
        "patch",
        "pvc",
        claims,
        "--namespace",
        namespace,
        "--subresource",
        "status",
        "--type",
        "merge",
        "--patch",
        &status,
    ])?;
    Ok(())
}

/// Removes a volume whose claim is gone.
fn remove(kubectl: &Kubectl, nodes: &BTreeMap<String, Place>, volume: &Value) -> Result<()> {
    let name = text(volume, "/metadata/name").context("a volume has a name")?;
    let (place, pid) = place_of(nodes, volume)?;
    let script = "if mountpoint -q \"$1\"; then umount \"$1\"; fi; rm -f \"$2\"";
    let file = place.folder.join("volumes").join(format!("{name}.xfs"));
    let mut shell = Machine::enter(pid, Path::new("sh"));
    shell.args(["-ec", script, "sh", &mount_point(name)]);
    succeed(shell.arg(file), LIMIT)?;
    kubectl.call(&["delete", "pv", name, "--wait=false"])?;
    Ok(())
}

/// The node that a volume is on, and the first process of its machine.
fn place_of<'a>(nodes: &'a BTreeMap<String, Place>, volume: &Value) -> Result<(&'a Place, i32)> {
    let terms = "/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0";
    let node = text(volume, terms).context("a volume is on a node")?;
    let place = nodes
        .get(node)
        .with_context(|| format!("{node} is not of this bed"))?;
    Ok((place, place.pid.with_context(|| format!("{node} is down"))?))
}

/// Mounts a volume unless it is mounted. Its device goes when it is unmounted, also by the end of the
/// machine.
fn mount(pid: i32, node: &Path, volume: &str) -> Result<()> {
    let script = "mountpoint -q \"$2\" && exit; mkdir -p \"$2\"; \
                  mount -t xfs -o loop \"$1\" \"$2\"; chmod 0777 \"$2\"";
    let file = node.join("volumes").join(format!("{volume}.xfs"));
    let mut shell = Machine::enter(pid, Path::new("sh"));
    shell.args(["-ec", script, "sh"]).arg(file);
    succeed(shell.arg(mount_point(volume)), LIMIT).map(drop)
}

/// Where a volume is in its node's machine.
pub(super) fn mount_point(volume: &str) -> String {
    format!("/var/lib/volumes/{volume}")
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The bytes that a quantity stands for.
fn bytes_of(value: &Value, pointer: &str) -> Result<u64> {
    let quantity = text(value, pointer).with_context(|| format!("no quantity at {pointer}"))?;
    parse_bytes(quantity)
}

fn parse_bytes(quantity: &str) -> Result<u64> {
    let end = quantity.find(|letter: char| !letter.is_ascii_digit());
    let (number, unit) = quantity.split_at(end.unwrap_or(quantity.len()));
    let shift = ["", "Ki", "Mi", "Gi", "Ti"]
        .iter()
        .position(|one| *one == unit);
    let shift = shift.with_context(|| format!("{quantity:?} is in a unit not known here"))?;
    ensure!(!number.is_empty(), "{quantity:?} has no number");
    Ok(number.parse::<u64>()? << (10 * shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_bytes_in_powers_of_1024() {
        let check = |quantity: &str, bytes: u64| {
            assert_eq!(parse_bytes(quantity).unwrap(), bytes, "{quantity}");
        };
        check("1073741824", 1 << 30);
        check("400Mi", 400 << 20);
        check("1Gi", 1 << 30);
        check("2Ti", 2 << 40);
        assert!(parse_bytes("1.5Gi").is_err() && parse_bytes("Gi").is_err());
        assert!(parse_bytes("2G").is_err());
    }
}
