//! What pages print is true: every command runs as printed beside a fresh cluster, and what needs a
//! Kubernetes names what `kubectl`, `helm` and the chart have.

use crate::figures::figure;
use crate::printed::{PRINTED_PORT, Server, at_port, free_port, is_free, shell};
use crate::skipped;
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::{Output, run};
use mdfs_tests::kube::Kubectl;
use mdfs_tests::kube::programs::lacking;
use mdfs_tests::pages::{self, Block};
use mdfs_tests::{film, program};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long the commands of one page may take.
const LIMIT: Duration = Duration::from_secs(600);
/// How long a program may take to say what it takes.
const HELP: Duration = Duration::from_secs(30);
/// Pages whose commands build on what they made; all others share a cluster.
const ALONE: [&str; 3] = ["README.md", "guide.md", "http.md"];
/// How often a page is begun that ended because the cluster was not well: on a busy machine workers are
/// late.
const TRIES: usize = 4;
/// The exit code that says so.
const DEGRADED: i32 = 5;

pub(crate) fn prove(short: bool) -> Result<()> {
    let films = TempDir::with_prefix("mdfs-film-")?;
    let mp4 = films.path().join("film.mp4");
    film::make(&mp4, 6, "320x180")?;
    let (mut alone, mut shared) = (Vec::new(), Vec::new());
    for page in pages::all(program::repository()?)? {
        let name = shown(&page)?;
        let text = fs::read_to_string(&page)?;
        let Some(script) = pages::script(&text).with_context(|| name.clone())? else {
            continue;
        };
        match ALONE.contains(&name.trim_start_matches("docs/")) {
            true => alone.push(vec![(name, script)]),
            false => shared.push((name, script)),
        }
    }
    ensure!(alone.len() == ALONE.len(), "{ALONE:?} have commands");
    alone.push(shared);
    let (mut blocks, mut count) = (0, 0);
    for group in &alone {
        blocks += run_group(group, &mp4, short)?;
        count += group.len();
    }
    figure(
        "blocks of commands that run as printed",
        &format!("{blocks} on {count} pages"),
    );
    of_kubernetes()
}

/// A page by its path in the repository.
fn shown(page: &Path) -> Result<String> {
    let path = page.strip_prefix(program::repository()?)?;
    Ok(path.display().to_string())
}

/// Runs pages one after the other beside one cluster; how many blocks they had.
fn run_group(group: &[(String, String)], mp4: &Path, short: bool) -> Result<usize> {
    // The printed port belongs to whoever has it; the test command takes another one.
    let port = if short { free_port()? } else { PRINTED_PORT };
    is_free(port)?;
    let folder = TempDir::with_prefix("mdfs-page-")?;
    let (place, home) = (folder.path().join("here"), folder.path().join("home"));
    let programs = folder.path().join("bin");
    for made in [&place, &home, &programs] {
        fs::create_dir(made)?;
    }
    fs::copy(mp4, place.join("film.mp4"))?;
    std::os::unix::fs::symlink(program::mdfs()?, programs.join("mdfs"))?;
    let start = format!("exec {}/mdfs dev --port {port}", programs.display());
    let mut server = Server::start(&place, &start)?;
    server.wait_until_healthy(port)?;
    // What a page leaves running ends with it, however it ends.
    let path = format!(
        "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\nexport PATH=\"{}:$PATH\"\n",
        programs.display()
    );
    let mut blocks = 0;
    for (name, script) in group {
        let script = at_port(&format!("{path}{}", with_findings(script)), port);
        let output = run_page(&mut server, port, group.len() > 1, || {
            run(shell(&place, &script).env("HOME", &home), LIMIT)
        })?;
        ensure!(
            output.code() == 0,
            "{name} ended with {}:\n{}\n{}",
            output.code(),
            String::from_utf8_lossy(&output.stdout).trim(),
            output.stderr.trim()
        );
        let said = output.stderr.lines();
        blocks += said.filter(|line| line.starts_with("# line ")).count();
    }
    server.stop()?;
    Ok(blocks)
}

/// The doctor also ends with [`DEGRADED`] for what it finds on this machine, such as a disk that is nearly
/// full: then it did what the page says.
fn with_findings(script: &str) -> String {
    let line = |line: &str| match line {
        "mdfs doctor" => format!("{line} || [ $? -eq {DEGRADED} ]\n"),
        _ => format!("{line}\n"),
    };
    script.lines().map(line).collect()
}

/// Runs a page. One that only looks is begun again if it saw a cluster that was not well.
fn run_page(
    server: &mut Server,
    port: u16,
    again: bool,
    mut page: impl FnMut() -> Result<Output>,
) -> Result<Output> {
    for _ in 1..TRIES {
        let output = page()?;
        if !again || output.code() != DEGRADED {
            return Ok(output);
        }
        server.wait_until_healthy(port)?;
    }
    page()
}

/// What is printed for a Kubernetes or for Docker is not run here: the proofs of that name do the same. That
/// it could be run, the programs themselves say.
fn of_kubernetes() -> Result<()> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for page in pages::all(program::repository()?)? {
        let name = shown(&page)?;
        let blocks = pages::blocks(&fs::read_to_string(&page)?)?;
        for line in blocks.iter().filter(is_shown).flat_map(lines) {
            if line.starts_with("kubectl ") || line.starts_with("helm ") {
                commands.push((name.clone(), line));
            }
        }
    }
    if let Some(reason) = lacking() {
        let count = commands.len();
        skipped::note(format!(
            "{count} commands for Kubernetes are not looked at: {reason}"
        ));
        return Ok(());
    }
    let kubectl = Kubectl::new(Path::new("/dev/null"))?;
    let options = kubectl.call(&["options"])?;
    for (page, line) in &commands {
        let words = words_of(line);
        let called: Vec<&str> = words.iter().map(String::as_str).collect();
        known(&kubectl, &called, &options).with_context(|| format!("{page}: {line}"))?;
    }
    figure(
        "commands for Kubernetes whose words are known",
        &commands.len().to_string(),
    );
    Ok(())
}

fn is_shown(block: &&Block) -> bool {
    block.language == "console"
}

/// The commands of a block: what stands behind prompts, or all of it if there are none.
fn lines(block: &Block) -> Vec<String> {
    let text = block.text.replace("\\\n", " ");
    let prompts = text.lines().any(|line| line.starts_with("$ "));
    let command = |line: &str| match prompts {
        true => line.strip_prefix("$ ").map(str::to_owned),
        false => Some(line.to_owned()),
    };
    text.lines().filter_map(command).collect()
}

/// The words of the first command of a line, without its comment.
fn words_of(line: &str) -> Vec<String> {
    let words = line.split_whitespace();
    let ends = |word: &&str| !word.starts_with('#') && !matches!(*word, "|" | "&" | ">");
    words.take_while(ends).map(str::to_owned).collect()
}

/// Checks that there is such a command with such flags. A chart is also rendered with its values.
fn known(kubectl: &Kubectl, words: &[&str], options: &str) -> Result<()> {
    let (program, rest) = words.split_first().context("a command has a program")?;
    let act = rest.first().context("a command does something")?;
    let help = |command: &mut Command| -> Result<String> {
        let output = run(command.arg("--help"), HELP)?;
        ensure!(output.code() == 0, "{}", output.stderr.trim());
        Ok(output.text())
    };
    let mut said = match *program {
        "kubectl" => help(&mut kubectl.command(&[act]))?,
        _ => help(&mut kubectl.helm(&[act])?)?,
    };
    if *program == "kubectl" {
        said.push_str(options);
    }
    for word in rest.iter().filter(|word| word.starts_with('-')) {
        let flag = word.split('=').next().unwrap_or_default();
        let long = format!("{flag}=");
        let known = said.split_whitespace().any(|it| {
            let it = it.trim_end_matches([',', ':']);
            it == flag || it.starts_with(&long)
        });
        ensure!(known, "{program} {act} has no {flag}");
    }
    let chart = program::repository()?.join("charts/mdfs");
    if *program == "helm" && rest.contains(&"charts/mdfs") {
        let chart = chart.display().to_string();
        let mut render = kubectl.helm(&["template", "mdfs", &chart])?;
        for pair in rest.windows(2) {
            if let ["--set", value] = pair {
                render.args(["--set", value]);
            }
        }
        let output = run(&mut render, HELP)?;
        ensure!(output.code() == 0, "{}", output.stderr.trim());
    }
    let files = rest.iter().filter(|word| word.starts_with("manifests/"));
    for file in files {
        let path: PathBuf = program::repository()?.join(file);
        ensure!(path.is_file(), "{file} is not there");
    }
    Ok(())
}
