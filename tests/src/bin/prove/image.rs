//! The image: what is built twice is the same, other tools read it, and its program runs in it alone.

use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::{run, succeed};
use mdfs_tests::program::repository;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a build may take, on a busy machine with nothing compiled yet.
const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);
/// How long any other command may take.
const LIMIT: Duration = Duration::from_secs(120);
const NAME: &str = "localhost/mdfs:proof";
/// The user that the image runs as.
const USER: &str = "65532:65532";

pub(crate) fn prove(short: bool) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-image-")?;
    let folder = folder.path();
    let first = folder.join("first.tar");
    let digest = build(&first, short, None)?;
    let second = folder.join("second.tar");
    // In full, from nothing: every package is compiled again, in another folder.
    let elsewhere = folder.join("target");
    let again = build(&second, short, (!short).then_some(elsewhere.as_path()))?;
    ensure!(digest == again, "built twice: {digest} and {again}");
    ensure!(
        fs::read(&first)? == fs::read(&second)?,
        "the archives differ"
    );
    figure("two builds, one digest", &digest);
    figure(
        "size, MB",
        &format!("{}", fs::metadata(&first)?.len() / 1_000_000),
    );

    let told = inspect(&first)?;
    ensure!(told == digest, "skopeo says {told}");
    let root = unpack(folder, &first)?;
    for file in [
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
        "usr/share/licenses/mdfs/LICENSE",
        "usr/share/licenses/mdfs/NOTICE",
        "usr/share/licenses/mdfs/THIRD-PARTY",
    ] {
        ensure!(root.join(file).is_file(), "{file} is not in the image");
    }
    let parties = fs::read_to_string(root.join("usr/share/licenses/mdfs/THIRD-PARTY"))?;
    ensure!(parties.lines().count() > 50, "only {parties}");
    ensure!(
        parties.contains("\ntokio v") && parties.lines().all(|line| line.contains(": ")),
        "{parties}"
    );
    runs_alone(&root)
}

/// Builds the image, and gives its digest.
fn build(output: &Path, short: bool, target: Option<&Path>) -> Result<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--package", "xtask", "--", "image"]);
    cargo.args(["--name", NAME, "--output"]).arg(output);
    cargo.args(short.then_some("--dev"));
    cargo.envs(target.map(|folder| ("CARGO_TARGET_DIR", folder)));
    let said = succeed(cargo.current_dir(repository()?), BUILD_LIMIT)?.text();
    let digest = said
        .split_whitespace()
        .find(|word| word.starts_with("sha256:"));
    Ok(digest
        .with_context(|| format!("no digest in {said}"))?
        .to_owned())
}

/// What skopeo reads: the digest, once user and entrypoint are as they should be.
fn inspect(archive: &Path) -> Result<String> {
    let place = format!("oci-archive:{}", archive.display());
    let mut skopeo = Command::new("skopeo");
    let config = succeed(skopeo.args(["inspect", "--config", &place]), LIMIT)?;
    let config: Value = serde_json::from_slice(&config.stdout)?;
    let found = config.get("config").context("an image has a config")?;
    ensure!(found.get("User") == Some(&USER.into()), "{config}");
    ensure!(
        found.pointer("/Entrypoint/0") == Some(&"/usr/bin/mdfs".into()),
        "{config}"
    );
    // The other form, which `docker load` and kind read.
    let docker = format!("docker-archive:{}", archive.display());
    let mut skopeo = Command::new("skopeo");
    succeed(skopeo.args(["inspect", "--config", &docker]), LIMIT)?;
    let mut skopeo = Command::new("skopeo");
    let format = ["inspect", "--format", "{{.Digest}}", &place];
    Ok(succeed(skopeo.args(format), LIMIT)?.text())
}

/// The image's files, unpacked by umoci.
fn unpack(folder: &Path, archive: &Path) -> Result<PathBuf> {
    let layout = folder.join("layout");
    fs::create_dir(&layout)?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(archive);
    succeed(tar.arg("--directory").arg(&layout), LIMIT)?;
    let bundle = folder.join("bundle");
    let mut umoci = Command::new("umoci");
    umoci.args(["unpack", "--rootless", "--image"]);
    umoci.arg(format!("{}:proof", layout.display()));
    succeed(umoci.arg(&bundle), LIMIT)?;
    Ok(bundle.join("rootfs"))
}

/// The program runs where there is nothing but the image, as its user.
fn runs_alone(root: &Path) -> Result<()> {
    let inside = |words: &[&str]| {
        let mut chroot = Command::new("chroot");
        chroot.arg("--userspec=65532:65532").arg(root);
        chroot.arg("/usr/bin/mdfs").args(words).env_clear();
        // Where chroot itself is; the program finds nothing there.
        chroot.env("PATH", "/usr/sbin:/usr/bin");
        run(&mut chroot, LIMIT)
    };
    let version = inside(&["--version"])?;
    ensure!(version.code() == 0, "{}", version.stderr);
    ensure!(version.text().starts_with("mdfs "), "{}", version.text());
    // Names are looked up without the libraries that a linked one would load.
    let told = inside(&["status", "--url", "http://no-such-host.invalid:8080"])?;
    ensure!(
        told.code() != 0 && !told.stderr.contains("panicked"),
        "{}",
        told.stderr
    );
    figure("runs on nothing but itself as user", USER);
    Ok(())
}
