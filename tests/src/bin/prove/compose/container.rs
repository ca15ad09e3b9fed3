//! A service's container, without a container: a root folder, mounts, a user and a machine of its own.

use super::{Project, text};
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::program;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The image of this repository, and its user.
const IMAGE: &str = "localhost/mdfs:";
const USER: &str = "65532:65532";
/// Services of these images run by programs of this machine, as root unless they say otherwise.
const HOSTS: [&str; 2] = ["docker.io/library/busybox:", "docker.io/prom/prometheus:"];
/// Makes a root folder with what a container would have, and starts a program in it.
const CONTAINER: &str = r#"set -e
root=$1 program=$2 user=$3 folder=$4 hosts=$5 unchanging=$6; shift 6
mkdir -p "$root"
mount -t tmpfs -o mode=755 mdfs-test "$root"
mkdir -p "$root/usr" "$root/etc" "$root/proc" "$root/dev" "$root/tmp"
chmod 1777 "$root/tmp"
if [ -n "$program" ]; then
  mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64"
  mount --bind /usr/lib "$root/usr/lib"
  if [ -d /usr/lib64 ]; then mount --bind /usr/lib64 "$root/usr/lib64"; fi
  touch "$root/usr/bin/mdfs" "$root/usr/bin/env"
  mount --bind "$program" "$root/usr/bin/mdfs"
  # By which a folder to work in is set.
  mount --bind /usr/bin/env "$root/usr/bin/env"
else
  mount --bind /usr "$root/usr"
fi
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
cp "$hosts" "$root/etc/hosts"
echo 'hosts: files' > "$root/etc/nsswitch.conf"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
  source=$1 target=$root$2 mode=$3; shift 3
  if [ "$mode" = memory ]; then
    mkdir -p "$target"
    mount -t tmpfs -o mode=1777 mdfs-test "$target"
    continue
  fi
  if [ -d "$source" ]; then mkdir -p "$target"; else mkdir -p "${target%/*}"; touch "$target"; fi
  mount --bind "$source" "$target"
  if [ "$mode" = ro ]; then mount -o remount,bind,ro "$target"; fi
done
shift
# Volumes are mounts of their own, and stay as they are.
if [ "$unchanging" = true ]; then mount -o remount,bind,ro "$root"; fi
exec chroot --userspec="$user" "$root" /usr/bin/env -C "$folder" "$@"
"#;

impl Project {
    /// A service's command in its container on a machine: the image's entry point and `arguments`.
    pub(super) fn container(
        &self,
        name: &str,
        machine: &str,
        arguments: &[String],
    ) -> Result<Command> {
        let image = text(self.service(name)?, "image")?;
        let entry = if image.starts_with(IMAGE) {
            vec!["/usr/bin/mdfs".to_owned()]
        } else if image.contains("prometheus") {
            vec!["/bin/prometheus".to_owned()]
        } else {
            Vec::new()
        };
        self.container_with(name, machine, &[&entry, arguments].concat())
    }

    pub(super) fn container_with(
        &self,
        name: &str,
        machine: &str,
        command: &[String],
    ) -> Result<Command> {
        let service = self.service(name)?;
        let image = text(service, "image")?;
        let ours = image.starts_with(IMAGE);
        let known = ours || HOSTS.iter().any(|it| image.starts_with(it));
        ensure!(known, "nothing here is {image}");
        let mdfs = program::mdfs()?;
        let program = if ours {
            mdfs.display().to_string()
        } else {
            String::new()
        };
        let user = service.get("user").and_then(Value::as_str);
        let user = user.unwrap_or(if ours { USER } else { "0:0" });
        let folder = service
            .get("working_dir")
            .and_then(Value::as_str)
            .unwrap_or("/");
        let root = self.place.join("root");
        let hosts = self.place.join("hosts");
        let mut container = self.network.command(machine, Path::new("unshare"))?;
        container.args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            CONTAINER,
            "sh",
        ]);
        container
            .arg(root)
            .args([&program, user, folder])
            .arg(hosts);
        let unchanging = service.get("read_only").and_then(Value::as_bool);
        container.arg(unchanging.unwrap_or(false).to_string());
        let memory = service.get("tmpfs").and_then(Value::as_array);
        for place in memory.into_iter().flatten() {
            let place = place.as_str().context("a place in memory is a path")?;
            container.args(["none", place, "memory"]);
        }
        for (source, target, mode) in self.mounts(service)? {
            container.arg(source).args([target, mode.to_owned()]);
        }
        container
            .arg("--")
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let environment = service.get("environment").and_then(Value::as_object);
        for (variable, value) in environment.into_iter().flatten() {
            container.env(variable, value.as_str().unwrap_or_default());
        }
        container.args(command).stdin(Stdio::null());
        Ok(container)
    }

    /// What is mounted: from where, whereto, and how. Volumes are folders.
    pub(super) fn mounts(&self, service: &Value) -> Result<Vec<(PathBuf, String, &'static str)>> {
        let mut mounts = Vec::new();
        let volumes = service.get("volumes").and_then(Value::as_array);
        for volume in volumes.into_iter().flatten() {
            let source = text(volume, "source")?;
            let source = match text(volume, "type")? {
                "bind" => PathBuf::from(source),
                "volume" => self.volume(source)?,
                other => bail!("a mount of type {other}"),
            };
            let read_only = volume.get("read_only").and_then(Value::as_bool);
            let mode = if read_only == Some(true) { "ro" } else { "rw" };
            mounts.push((source, text(volume, "target")?.to_owned(), mode));
        }
        Ok(mounts)
    }
}
