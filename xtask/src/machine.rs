//! What this machine has, and installing what it lacks.

use crate::Folders;
use crate::child::Bounded;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release of cargo-deny that `deny.toml` was written for.
const CARGO_DENY: &str = "0.20.2";

/// Whether `program` can be called.
pub(crate) fn has(program: &str) -> bool {
    let script = r#"PATH="$PATH:/usr/sbin:/sbin" command -v -- "$0""#;
    let found = Command::new("sh")
        .args(["-c", script, program])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Installs the Debian packages of those `(program, package)` whose program is missing, and returns
/// the programs that are missing still.
///
/// # Errors
/// If a command cannot be started.
pub(crate) fn provide(root: &Path, wanted: &[(&str, &str)]) -> Result<Vec<String>> {
    let missing = |wanted: &[(&str, &str)]| -> Vec<(String, String)> {
        let absent = wanted.iter().filter(|(program, _)| !has(program));
        absent
            .map(|(program, package)| ((*program).to_owned(), (*package).to_owned()))
            .collect()
    };
    let mut absent = missing(wanted);
    if !absent.is_empty() && is_root() && has("apt-get") {
        let mut packages: Vec<&str> = absent.iter().map(|(_, package)| package.as_str()).collect();
        packages.sort_unstable();
        packages.dedup();
        println!("installing {}", packages.join(", "));
        let update = Bounded::new(5, &["apt-get", "update"]).quiet();
        let mut words = vec!["apt-get", "install", "--yes", "--no-install-recommends"];
        words.extend(&packages);
        let install = Bounded::new(15, &words)
            .quiet()
            .env("DEBIAN_FRONTEND", "noninteractive");
        let nothing_starts = NothingStarts::from_now_on();
        for step in [update, install] {
            let finished = step.run(root)?;
            if !finished.success {
                println!("{} failed:\n{}", step.shown(), finished.output);
                break;
            }
        }
        drop(nothing_starts);
        if has("systemctl") {
            let mut words = vec!["sh", "-c", DISABLE, "sh"];
            words.extend(&packages);
            Bounded::new(2, &words).quiet().run(root)?;
        }
        absent = missing(wanted);
    }
    Ok(absent.into_iter().map(|(program, _)| program).collect())
}

/// Where Debian asks whether a package may start its services.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// None may. By this text it is known again if it was left behind.
const NO_SERVICES: &str = "#!/bin/sh\n# By cargo xtask, while it installs.\nexit 101\n";
/// Disables the services of packages: they are installed for their programs.
const DISABLE: &str = r#"dpkg -L "$@" | sed -n 's,.*/lib/systemd/system/\([^/@]*\.service\)$,\1,p' |
while read -r unit; do systemctl disable --quiet "$unit" || :; done"#;

/// While it lives, no package that is installed starts a service.
struct NothingStarts {
    ours: bool,
}

impl NothingStarts {
    fn from_now_on() -> Self {
        use std::os::unix::fs::PermissionsExt;
        // Somebody else's says what they want.
        let ours = match std::fs::read_to_string(POLICY) {
            Ok(text) => text == NO_SERVICES,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        let written = || -> std::io::Result<()> {
            std::fs::write(POLICY, NO_SERVICES)?;
            std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))
        };
        if ours && let Err(error) = written() {
            println!("packages may start services: {POLICY}: {error}");
        }
        Self { ours }
    }
}

impl Drop for NothingStarts {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = std::fs::remove_file(POLICY)
        {
            println!("cannot remove {POLICY}: {error}");
        }
    }
}

/// cargo-deny: the one in the cache folder, which is built there once. None if it cannot be had.
///
/// # Errors
/// If a command cannot be started.
pub(crate) fn cargo_deny(root: &Path, folders: &Folders) -> Result<Option<String>> {
    let Some(tools) = folders.tools() else {
        return Ok(None);
    };
    let folder = tools.join(format!("cargo-deny-{CARGO_DENY}"));
    let program: PathBuf = folder.join("bin").join("cargo-deny");
    let works = |program: &Path| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    };
    if !works(&program) {
        println!("building cargo-deny {CARGO_DENY}, once for this machine");
        let folder = folder.display().to_string();
        let build = tools.join("build").display().to_string();
        // Unoptimised: it checks a few hundred packages, and builds in a fifth of the time.
        let words = [
            "cargo",
            "install",
            "cargo-deny",
            "--version",
            CARGO_DENY,
            "--locked",
            "--debug",
            "--force",
            "--config",
            "profile.dev.debug=false",
            "--root",
            &folder,
            "--target-dir",
            &build,
        ];
        let install = Bounded::new(15, &words).quiet().run(root)?;
        // The build products are of no more use, whether it worked or not.
        if let Err(error) = std::fs::remove_dir_all(&build) {
            println!("cannot remove {build}: {error}");
        }
        if !install.success {
            println!("{}", install.output);
        }
    }
    Ok(works(&program).then(|| program.display().to_string()))
}

/// A program of PyPI that proofs call, with all that it needs, in a folder of its own.
pub(crate) struct Pinned {
    /// What proofs need it.
    pub(crate) proofs: &'static [&'static str],
    /// How they are told where the Python is that has it.
    pub(crate) variable: &'static str,
    name: &'static str,
    version: &'static str,
    /// All packages with their versions.
    requirements: &'static str,
}

/// What proofs need from PyPI.
pub(crate) const PINNED: &[Pinned] = &[
    Pinned {
        proofs: &["api-fuzz"],
        variable: "MDFS_SCHEMATHESIS",
        name: "schemathesis",
        version: "4.32.5",
        requirements: "tests/api/requirements.txt",
    },
    Pinned {
        proofs: &["console", "console-scale", "console-rights"],
        variable: "MDFS_PLAYWRIGHT",
        name: "playwright",
        version: "1.65.2",
        requirements: "tests/console/requirements.txt",
    },
];

/// What a proof needs from PyPI, if anything.
pub(crate) fn pinned(proof: &str) -> Option<&'static Pinned> {
    PINNED.iter().find(|pinned| pinned.proofs.contains(&proof))
}

/// The Python that has it: the one in the cache folder, where it is installed once. Or why it cannot be
/// had here.
///
/// # Errors
/// If it can be reached, and is not installed all the same.
pub(crate) fn install(
    pinned: &Pinned,
    root: &Path,
    folders: &Folders,
) -> Result<Result<String, String>> {
    let (name, version) = (pinned.name, pinned.version);
    let Some(tools) = folders.tools() else {
        return Ok(Err(format!("there is no folder to install {name} in")));
    };
    let wanted = std::fs::read_to_string(root.join(pinned.requirements))?;
    let folder = tools.join(format!("{name}-{version}"));
    let python = folder.join("bin").join("python3");
    // Written last: says what is there.
    let done = folder.join("requirements.txt");
    if std::fs::read_to_string(&done).is_ok_and(|had| had == wanted) {
        return Ok(Ok(python.display().to_string()));
    }
    println!("installing {name} {version}, once for this machine");
    std::fs::create_dir_all(&tools)?;
    let place = folder.display().to_string();
    let make = Bounded::new(3, &["python3", "-m", "venv", "--clear", &place]).quiet();
    if !make.run(root)?.success {
        // Debian keeps what a virtual environment needs in a package of its own.
        if is_root() && has("apt-get") {
            let install = [
                "apt-get",
                "install",
                "--yes",
                "--no-install-recommends",
                "python3-venv",
            ];
            for words in [&["apt-get", "update"][..], &install] {
                let step = Bounded::new(10, words).quiet();
                step.env("DEBIAN_FRONTEND", "noninteractive").run(root)?;
            }
        }
        if !make.run(root)?.success {
            return Ok(Err(
                "python3 cannot make a virtual environment here".to_owned()
            ));
        }
    }
    let program = python.display().to_string();
    let words = [
        &program,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--requirement",
        pinned.requirements,
    ];
    let install = Bounded::new(10, &words).quiet().run(root)?;
    if !install.success {
        let unreachable = [
            "Could not find a version",
            "NewConnectionError",
            "NameResolutionError",
            "ReadTimeoutError",
            "ConnectTimeoutError",
        ];
        let found = unreachable.iter().any(|word| install.output.contains(word));
        anyhow::ensure!(found, "{name} cannot be installed:\n{}", install.output);
        return Ok(Err(format!("PyPI cannot be reached to install {name}")));
    }
    std::fs::write(done, wanted)?;
    Ok(Ok(program))
}
