//! The programs of Kubernetes: built once for this machine from their sources, which the Go module
//! `tests/kube` names, and kept outside the clone.

use crate::command::{run, succeed};
use crate::program::repository;
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// The release of helm that the chart is tested with.
const HELM: &str = "v3.22.0";
/// The release of Kubernetes, as `tests/kube/go.mod` requires it.
const KUBERNETES: &str = "v1.34.4";
/// How long a build may take, on a busy machine with nothing compiled yet.
const BUILD_LIMIT: Duration = Duration::from_secs(25 * 60);

/// Why the programs are not to be had here; none if they are. A test that needs them asks first, and
/// notes that it left itself out.
pub fn lacking() -> Option<String> {
    if let Some(reason) = variable("MDFS_WITHOUT_KUBE") {
        return Some(reason.to_string_lossy().into_owned());
    }
    let lacks_go = go_version().is_none();
    lacks_go.then(|| "Go is not installed".to_owned())
}

/// Every component in one program, built when it is not there yet. Its first argument picks one.
///
/// # Errors
/// If it cannot be built.
pub fn kube() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build_kube().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

/// The program of the bed's own image: what the first container of each pod runs.
///
/// # Errors
/// If it cannot be built.
pub fn pod() -> Result<PathBuf> {
    Ok(kube()?.with_file_name("pod"))
}

/// Helm, built when it is not there yet.
///
/// # Errors
/// If it cannot be built.
pub fn helm() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build_helm().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

/// What reads compose files, built when it is not there yet.
///
/// # Errors
/// If it cannot be built.
pub fn compose() -> Result<PathBuf> {
    let module = repository()?.join("tests/compose");
    let name = key(&module, &["go.mod", "go.sum", "main.go"])?;
    built(&format!("compose-{name}"), "compose", |folder| {
        let mut go = go();
        go.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]);
        go.arg(folder.join("compose")).arg(".");
        succeed(go.current_dir(&module), BUILD_LIMIT)?;
        Ok(())
    })
}

fn build_kube() -> Result<PathBuf> {
    let module = repository()?.join("tests/kube");
    let sources = [
        "go.mod",
        "go.sum",
        "keys.go",
        "main.go",
        "node.go",
        "pod/main.go",
    ];
    let name = format!("kube-{}", key(&module, &sources)?);
    built(&name, "kube", |folder| {
        let version = "k8s.io/component-base/version.git";
        let mut numbers = KUBERNETES.trim_start_matches('v').split('.');
        let major = numbers.next().context("a release has numbers")?;
        let minor = numbers.next().context("a release has numbers")?;
        let flags = format!(
            "-s -w -X {version}Version={KUBERNETES} -X {version}Major={major} -X {version}Minor={minor}"
        );
        for (program, package) in [("pod", "./pod"), ("kube", ".")] {
            let mut go = go();
            go.args(["build", "-buildvcs=false", "-trimpath", "-ldflags", &flags]);
            go.arg("-o").arg(folder.join(program)).arg(package);
            succeed(go.current_dir(&module), BUILD_LIMIT)?;
        }
        Ok(())
    })
}

fn build_helm() -> Result<PathBuf> {
    let version = go_version().context("Go is not installed")?;
    let key = hex(&Sha256::digest(format!("{HELM} {version}")));
    built(&format!("helm-{key}"), "helm", |folder| {
        let mut go = go();
        go.args(["install", "-trimpath", "-ldflags", "-s -w"]);
        go.arg(format!("helm.sh/helm/v3/cmd/helm@{HELM}"));
        succeed(go.env("GOBIN", folder), BUILD_LIMIT)?;
        Ok(())
    })
}

/// The program of this name in the folder `name` of the cache, which `build` fills when it is not there.
fn built(name: &str, program: &str, build: impl Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    let tools = tools()?;
    fs::create_dir_all(&tools).with_context(|| format!("make {}", tools.display()))?;
    let folder = tools.join(name);
    let path = folder.join(program);
    // Held until the end, so that only one builds what several want.
    let lock = File::create(tools.join(format!("{program}.lock")))?;
    lock.lock().context("wait for another build")?;
    if path.is_file() {
        return Ok(path);
    }
    println!("building {name}, once for this machine");
    let half = tools.join(format!("{name}.new"));
    if half.exists() {
        fs::remove_dir_all(&half)?;
    }
    fs::create_dir_all(&half)?;
    build(&half)?;
    forget_older(&tools, program)?;
    fs::rename(&half, &folder).with_context(|| format!("keep {}", folder.display()))?;
    ensure!(path.is_file(), "{} was not built", path.display());
    Ok(path)
}

/// Removes what was built for other sources, a week after its last use at the earliest.
fn forget_older(tools: &Path, program: &str) -> Result<()> {
    const WEEK: &str = "+7";
    let mut find = Command::new("find");
    find.arg(tools).args(["-mindepth", "1", "-maxdepth", "1"]);
    find.args(["-name", &format!("{program}-*"), "-mtime", WEEK]);
    succeed(
        find.args(["-exec", "rm", "-rf", "{}", "+"]),
        Duration::from_secs(60),
    )?;
    Ok(())
}

/// What a program depends on: every source, every module's version, and the compiler.
fn key(module: &Path, sources: &[&str]) -> Result<String> {
    let version = go_version().context("Go is not installed")?;
    let mut digest = Sha256::new();
    digest.update(version);
    for name in sources {
        let path = module.join(name);
        digest.update(fs::read(&path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(hex(&digest.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    let some = bytes.iter().take(8);
    some.map(|byte| format!("{byte:02x}")).collect()
}

/// Go, wherever it is installed. What it builds is static, and the module's own version of it is not
/// fetched from anywhere.
fn go() -> Command {
    let usual = Path::new("/usr/local/go/bin/go");
    let mut go = Command::new(if usual.is_file() {
        usual
    } else {
        Path::new("go")
    });
    go.env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false");
    go
}

fn go_version() -> Option<String> {
    let output = run(go().arg("version"), Duration::from_secs(20)).ok()?;
    (output.code() == 0).then(|| output.text())
}

/// The folder for tools that are built once.
fn tools() -> Result<PathBuf> {
    let folder = |name: &str| variable(name).map(PathBuf::from);
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    match cache {
        Some(cache) => Ok(cache.join("mdfs-ci").join("tools")),
        None => bail!("neither XDG_CACHE_HOME nor HOME says where tools are kept"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "test binaries have no arguments of their own"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_named_here_is_the_one_that_the_module_requires() {
        let module = repository().unwrap().join("tests/kube/go.mod");
        let module = fs::read_to_string(module).unwrap();
        assert!(module.contains(&format!("k8s.io/kubernetes {KUBERNETES}\n")));
    }
}
