//! The image: one static program on nothing, written as an archive without any container tool.
//!
//! The archive is an OCI layout that `skopeo`, `podman` and `ctr` read, and has the file by which
//! `docker load` and `kind load image-archive` read it too. The same sources give the same bytes.

mod archive;
mod tar;

use crate::child::Bounded;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use archive::Image;
use std::fs;
use std::path::{Path, PathBuf};
use tar::Tar;

/// What the program is built for. A target that is named keeps its flags from macros and build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The user that the image runs as, known by number alone.
const USER: u32 = 65532;
/// Where Debian has the certificates of public authorities.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What the image says of what comes with it.
const NOTICE: &str = "\
MDFS is under the Apache License 2.0, see LICENSE. THIRD-PARTY lists the packages that are built into
the program, with their licences. The program is linked with the GNU C Library, which is under the GNU
Lesser General Public License 2.1 or later; its source is at https://www.gnu.org/software/libc/.
The certificates are those of the Mozilla project, as Debian packages them.
";

/// What is wanted.
#[derive(clap::Args)]
pub(crate) struct Wanted {
    /// Where the archive goes
    #[arg(long, default_value = "target/mdfs-image.tar")]
    output: PathBuf,
    /// What the image is called; the host part keeps a kubelet from looking for it elsewhere
    #[arg(long, default_value = concat!("localhost/mdfs:", env!("CARGO_PKG_VERSION")))]
    name: String,
    /// Builds without optimisation, for tests
    #[arg(long)]
    dev: bool,
    /// Another static program to make an image of, with nothing beside it
    #[arg(long)]
    program: Option<PathBuf>,
}

/// Writes the archive and says its digest. Returns whether the program was built.
///
/// # Errors
/// If the program does not build or is not static, or a file cannot be written.
pub(crate) fn run(wanted: &Wanted) -> Result<bool> {
    let workspace = Workspace::find()?;
    let (program, layer) = match &wanted.program {
        Some(program) => (program.clone(), Tar::default()),
        None => {
            let program = build(&workspace, wanted.dev)?;
            (program, surroundings(&workspace.root)?)
        }
    };
    let name = program.file_name().context("a program has a name")?;
    let inside = format!("usr/bin/{}", name.to_string_lossy());
    let bytes = fs::read(&program).with_context(|| format!("read {}", program.display()))?;
    ensure!(
        is_static(&bytes),
        "{} needs an interpreter or libraries",
        program.display()
    );
    let layer = layer
        .file(&inside, 0o755, &bytes)
        .file("etc/passwd", 0o644, passwd().as_bytes())
        .file("etc/group", 0o644, group().as_bytes())
        .finish()?;
    let image = Image {
        name: &wanted.name,
        entrypoint: &format!("/{inside}"),
        user: USER,
        layer: &layer,
    };
    let (archive, digest) = image.archive()?;
    let output = workspace.root.join(&wanted.output);
    fs::write(&output, archive).with_context(|| format!("write {}", output.display()))?;
    println!("{} {digest} in {}", wanted.name, output.display());
    Ok(true)
}

/// Builds the program with everything linked in, and without a trace of this machine's paths.
fn build(workspace: &Workspace, dev: bool) -> Result<PathBuf> {
    let root = workspace.root.display();
    let home = cargo_home(&workspace.root)?;
    let flags = [
        "-Ctarget-feature=+crt-static".to_owned(),
        format!("--remap-path-prefix={root}=/mdfs"),
        format!("--remap-path-prefix={home}=/cargo"),
    ];
    let mut words = vec!["cargo", "build", "--package", "mdfs", "--bin", "mdfs"];
    words.extend(["--locked", "--target", TARGET]);
    words.extend((!dev).then_some("--release"));
    let profile = if dev { "DEV" } else { "RELEASE" };
    let build = Bounded::new(40, &words)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env(&format!("CARGO_PROFILE_{profile}_DEBUG"), "false")
        .env(&format!("CARGO_PROFILE_{profile}_STRIP"), "symbols");
    ensure!(
        build.run(&workspace.root)?.success,
        "the program does not build"
    );
    let folder = if dev { "debug" } else { "release" };
    Ok(workspace.target.join(TARGET).join(folder).join("mdfs"))
}

/// Where cargo keeps the sources of packages: above any manifest of theirs.
fn cargo_home(root: &Path) -> Result<String> {
    let ask = [
        "cargo",
        "metadata",
        "--locked",
        "--offline",
        "--format-version",
        "1",
    ];
    let answer = Bounded::new(2, &ask).quiet().run(root)?;
    let place = "/registry/src/";
    let before = answer.output.split_once(place).map(|(before, _)| before);
    let home = before.and_then(|before| before.rsplit('"').next());
    Ok(home
        .context("cargo names no package of the registry")?
        .to_owned())
}

/// All that is in the image beside the program and its user.
fn surroundings(root: &Path) -> Result<Tar> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
    let license = read(&root.join("LICENSE"))?;
    let authorities = read(Path::new(AUTHORITIES)).context("is ca-certificates installed?")?;
    Ok(Tar::default()
        .file("etc/ssl/certs/ca-certificates.crt", 0o644, &authorities)
        .file("usr/share/licenses/mdfs/LICENSE", 0o644, &license)
        .file("usr/share/licenses/mdfs/NOTICE", 0o644, NOTICE.as_bytes())
        .file(
            "usr/share/licenses/mdfs/THIRD-PARTY",
            0o644,
            third_parties(root)?.as_bytes(),
        ))
}

/// Each package of others that is built into the program, with its licence.
fn third_parties(root: &Path) -> Result<String> {
    let mut words = vec!["cargo", "tree", "--package", "mdfs", "--edges", "normal"];
    words.extend(["--locked", "--target", TARGET, "--prefix", "none"]);
    words.extend(["--format", "{p}: {l}"]);
    let tree = Bounded::new(2, &words).quiet().run(root)?;
    ensure!(tree.success, "cargo tree failed:\n{}", tree.output);
    let lines = tree
        .output
        .lines()
        .map(|line| line.trim_end_matches(" (*)"));
    // Packages of this workspace are shown with their folder.
    let mut lines: Vec<&str> = lines.filter(|line| !line.contains(" (/")).collect();
    lines.sort_unstable();
    lines.dedup();
    Ok(lines.join("\n") + "\n")
}

fn passwd() -> String {
    format!("root:x:0:0:root:/:/sbin/nologin\nmdfs:x:{USER}:{USER}:mdfs:/:/sbin/nologin\n")
}

fn group() -> String {
    format!("root:x:0:\nmdfs:x:{USER}:\n")
}

/// Whether an ELF program for 64 bits asks for no interpreter: one that is linked dynamically does.
fn is_static(program: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |place: usize, width: usize| -> Option<u64> {
        let bytes = program.get(place..place + width)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    let kinds = || -> Option<Vec<u64>> {
        let first = usize::try_from(number(32, 8)?).ok()?;
        let width = usize::try_from(number(54, 2)?).ok()?;
        let count = usize::try_from(number(56, 2)?).ok()?;
        (0..count)
            .map(|index| number(first + index * width, 4))
            .collect()
    };
    program.starts_with(b"\x7fELF\x02\x01")
        && kinds().is_some_and(|kinds| !kinds.contains(&u64::from(PT_INTERP)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        let program = |kind: u8| {
            let mut bytes = b"\x7fELF\x02\x01".to_vec();
            bytes.resize(64 + 2 * 56, 0);
            bytes[32] = 64;
            bytes[54] = 56;
            bytes[56] = 2;
            bytes[64] = 1;
            bytes[64 + 56] = kind;
            bytes
        };
        assert!(is_static(&program(1)));
        assert!(!is_static(&program(3)));
        assert!(!is_static(&program(1)[..100]) && !is_static(b"#!/bin/sh\n"));
    }

    #[test]
    fn the_image_that_docker_builds_is_the_same() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Dockerfile");
        let file = fs::read_to_string(file).unwrap();
        let toolchain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rust-toolchain.toml");
        let toolchain = fs::read_to_string(toolchain).unwrap();
        let version = file.split("rust:").nth(1).unwrap();
        let version = version.split('-').next().unwrap();
        assert!(
            toolchain.contains(&format!("channel = \"{version}")),
            "{version}"
        );
        let (passwd, group) = (passwd(), group());
        for part in [
            "USER 65532:65532",
            "ENTRYPOINT [\"/usr/bin/mdfs\"]",
            "PATH=/usr/bin",
            TARGET,
            AUTHORITIES,
            &passwd.replace('\n', "\\n"),
            &group.replace('\n', "\\n"),
        ] {
            assert!(file.contains(part), "{part}");
        }
    }
}
