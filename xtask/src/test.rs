//! `cargo xtask test`: everything that a change must pass.

use crate::Folders;
use crate::child::Bounded;
use crate::machine;
use crate::needs::{BED, IMAGE};
use crate::prove;
use crate::tally::Tally;
use crate::workspace::Workspace;
use anyhow::Result;
use std::time::{Duration, Instant};

/// The programs that tests call, and the Debian packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("ffmpeg", "ffmpeg"),
    ("ffprobe", "ffmpeg"),
    ("curl", "curl"),
    ("wget", "wget"),
    ("git", "git"),
    ("python3", "python3"),
    ("chromium", "chromium"),
];

/// What a part's output is counted by.
enum Counted {
    /// The part is one check.
    Whole,
    /// The part runs tests, and its runner says how many.
    CargoTest,
}

/// One part of the run, done.
struct Done {
    name: String,
    tally: Tally,
    took: Duration,
    /// The last that a part printed in which something failed; else empty.
    last_words: String,
}

struct Run {
    workspace: Workspace,
    done: Vec<Done>,
}

/// Runs every part, and prints the sum as the last line. Returns whether nothing failed.
///
/// # Errors
/// If a command cannot be started.
pub(crate) fn run(quick: bool, folders: &Folders) -> Result<bool> {
    let mut run = Run {
        workspace: Workspace::find()?,
        done: Vec::new(),
    };
    let root = run.workspace.root.clone();
    let proofs = prove::short_forms(&run.workspace);
    let mut wanted = PROGRAMS.to_vec();
    if !quick {
        wanted.extend([IMAGE, BED].concat());
        wanted.extend(proofs.iter().flat_map(|proof| proof.needs));
        wanted.sort_unstable();
        wanted.dedup();
    }
    let missing = machine::provide(&root, &wanted)?;
    for program in &missing {
        println!("{program} is missing and cannot be installed");
    }

    run.part(
        "format",
        Counted::Whole,
        Bounded::new(2, &["cargo", "fmt", "--all", "--check"]),
    )?;
    if quick {
        run.skip("dependencies", "--quick");
        run.skip("advisories", "--quick");
        run.skip("documentation", "--quick");
    } else {
        run.dependencies(folders)?;
        let words = ["cargo", "doc", "--workspace", "--no-deps", "--locked"];
        let documentation = Bounded::new(20, &words).env("RUSTDOCFLAGS", "-D warnings");
        run.part("documentation", Counted::Whole, documentation)?;
    }
    let words = [
        "cargo",
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-Dwarnings",
    ];
    run.part("clippy", Counted::Whole, Bounded::new(20, &words))?;

    // All targets in one build, so that the tests and the program share every dependency.
    let words = ["cargo", "build", "--workspace", "--all-targets", "--locked"];
    let built = run.part("build", Counted::Whole, Bounded::new(25, &words))?;
    let without_kubernetes = match (quick, built) {
        (true, _) => Some("--quick".to_owned()),
        (_, false) => Some("the build failed".to_owned()),
        (false, true) => run.kubernetes(folders)?,
    };
    // Its dependencies are compiled once more, so it has a part and a limit of its own.
    let image = run.workspace.target.join("mdfs-e2e.tar");
    if built && !quick {
        let program = run.workspace.program("debug", "xtask");
        let output = image.display().to_string();
        let words = [
            program.as_str(),
            "image",
            "--dev",
            "--output",
            output.as_str(),
            "--name",
            prove::CLUSTER_IMAGE,
        ];
        run.part("image", Counted::Whole, Bounded::new(40, &words))?;
    }
    if built {
        run.tests(without_kubernetes.as_deref())?;
    } else {
        run.skip("tests", "the build failed");
    }
    for proof in proofs {
        let name = format!("proof {}", proof.name);
        let lacks = proof
            .needs
            .iter()
            .find(|(program, _)| missing.iter().any(|one| one == program));
        match lacks {
            _ if quick => run.skip(&name, "--quick"),
            _ if !built => run.skip(&name, "the build failed"),
            _ if proof.on_kubernetes && without_kubernetes.is_some() => {
                run.skip(&name, without_kubernetes.as_deref().unwrap_or_default());
            }
            _ if proof.needs_root && !machine::is_root() => run.skip(&name, "it needs root"),
            Some((program, _)) => run.skip(&name, &format!("{program} is missing")),
            None => match machine::pinned(proof.name) {
                Some(pinned) => match machine::install(pinned, &root, folders)? {
                    Ok(python) => {
                        let command = proof.command.env(pinned.variable, python);
                        run.part(&name, Counted::Whole, command)?;
                    }
                    Err(why) => run.skip(&name, &why),
                },
                None => {
                    let image = image.display().to_string();
                    let command = proof.command.env("MDFS_IMAGE", image);
                    run.part(&name, Counted::Whole, command)?;
                }
            },
        }
    }
    Ok(run.close())
}

impl Run {
    /// Runs one part and counts it; what left something out counts as skipped. Returns whether nothing in
    /// it failed.
    fn part(&mut self, name: &str, counted: Counted, command: Bounded) -> Result<bool> {
        println!("\n== {name}: {}", command.shown());
        let started = now();
        let finished = command.run(&self.workspace.root)?;
        let mut tally = match counted {
            Counted::Whole if finished.skipped => Tally::SKIPPED,
            Counted::Whole => Tally::one(finished.success),
            Counted::CargoTest => Tally::of_cargo_test(&finished.output),
        };
        if !finished.success && tally.failed == 0 && tally != Tally::SKIPPED {
            tally += Tally::one(false);
        }
        if finished.timed_out {
            println!("{name} was ended at its time limit");
        }
        let passed = tally.failed == 0;
        self.done.push(Done {
            name: name.to_owned(),
            tally,
            took: started.elapsed(),
            last_words: last_words(passed, &finished.output),
        });
        Ok(passed)
    }

    fn skip(&mut self, name: &str, reason: &str) {
        println!("\n== {name}: skipped: {reason}");
        let name = format!("{name} ({reason})");
        self.done.push(Done {
            name,
            tally: Tally::SKIPPED,
            took: Duration::ZERO,
            last_words: String::new(),
        });
    }

    fn dependencies(&mut self, folders: &Folders) -> Result<()> {
        match machine::cargo_deny(&self.workspace.root, folders)? {
            Some(program) => {
                let words = [
                    program.as_str(),
                    "--locked",
                    "check",
                    "bans",
                    "licenses",
                    "sources",
                ];
                self.part("dependencies", Counted::Whole, Bounded::new(5, &words))?;
            }
            None => self.skip("dependencies", "cargo-deny cannot be installed here"),
        }
        self.skip(
            "advisories",
            "the advisory database is a git repository, out of reach here",
        );
        Ok(())
    }

    /// Builds the programs of Kubernetes, once for this machine. Returns why they cannot be had, if so.
    fn kubernetes(&mut self, folders: &Folders) -> Result<Option<String>> {
        const NAME: &str = "kubernetes programs";
        let lacks = if folders.tools().is_none() {
            Some("there is no folder to build them in")
        } else if machine::has("go") || machine::has("/usr/local/go/bin/go") {
            None
        } else {
            Some("Go is not installed")
        };
        if let Some(reason) = lacks {
            self.skip(NAME, reason);
            return Ok(Some(reason.to_owned()));
        }
        let bed = self.workspace.program("debug", "bed");
        let build = Bounded::new(30, &[&bed, "build"]);
        let built = self.part(NAME, Counted::Whole, build)?;
        Ok((!built).then(|| "they do not build".to_owned()))
    }

    /// All tests of all packages. Tests that leave themselves out say so in a file, because the
    /// runner has no word for it.
    fn tests(&mut self, without_kubernetes: Option<&str>) -> Result<()> {
        let skips = self.workspace.target.join("skipped-tests.txt");
        std::fs::write(&skips, "")?;
        let words = ["cargo", "test", "--workspace", "--no-fail-fast", "--locked"];
        // A hundred simulated clusters are among them, which a busy machine takes its time for.
        let tests = Bounded::new(45, &words)
            .env("MDFS_PROGRAM", self.workspace.program("debug", "mdfs"))
            // An error of a test says what went wrong; where it was made does not help.
            .env("RUST_LIB_BACKTRACE", "0")
            .env("MDFS_SKIPPED_TESTS", skips.display().to_string());
        let tests = match without_kubernetes {
            Some(reason) => tests.env("MDFS_WITHOUT_KUBE", reason),
            None => tests,
        };
        self.part("tests", Counted::CargoTest, tests)?;
        let skipped = std::fs::read_to_string(&skips)?;
        for line in skipped.lines() {
            println!("skipped: {line}");
        }
        if let Some(last) = self.done.last_mut() {
            last.tally
                .leave_out(u64::try_from(skipped.lines().count())?);
        }
        Ok(())
    }

    /// Prints one line for each part, the last words of those that failed, and the sum. Returns whether
    /// nothing failed.
    fn close(self) -> bool {
        println!();
        let mut sum = Tally::default();
        for done in &self.done {
            println!(
                "{:<60} {} [{} s]",
                done.name,
                done.tally,
                done.took.as_secs()
            );
            sum += done.tally;
        }
        // Once more, because a run prints thousands of lines, and its end is what is looked at first.
        for done in self.done.iter().filter(|it| it.tally.failed > 0) {
            println!(
                "\n== {} failed; the end of it:\n{}",
                done.name, done.last_words
            );
        }
        println!("{sum}");
        sum.failed == 0
    }
}

/// What a part that failed printed at last, with the names of the tests that failed.
fn last_words(passed: bool, output: &str) -> String {
    const LINES: usize = 15;
    const WIDTH: usize = 600;
    if passed {
        return String::new();
    }
    let lines: Vec<&str> = output.lines().collect();
    let (before, last) = lines.split_at(lines.len().saturating_sub(LINES));
    let failed = before.iter().filter(|line| line.ends_with("... FAILED"));
    // What went wrong stands at the end of a long line.
    let cut = |line: &&str| {
        let skipped = line.chars().count().saturating_sub(WIDTH);
        line.chars().skip(skipped).collect::<String>()
    };
    let words: Vec<String> = failed.chain(last).map(cut).collect();
    words.join("\n")
}

#[expect(
    clippy::disallowed_methods,
    reason = "only the time of each part is shown, none decides"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_part_that_failed_names_its_failed_tests() {
        let mut output = String::from("test early ... FAILED\ntest other ... ok\n");
        output.extend((0..40).map(|line| format!("line {line}\n")));
        let words = last_words(false, &output);
        assert!(
            words.starts_with("test early ... FAILED\nline 25\n"),
            "{words}"
        );
        assert!(words.ends_with("line 39"), "{words}");
        assert_eq!(last_words(true, &output), "");
    }
}
