//! What the program says of itself, and to shells.

use super::snapshot::Snapshots;
use crate::figures::figure;
use anyhow::{Result, ensure};
use mdfs_tests::command::{run, succeed};
use mdfs_tests::program::mdfs;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

/// A command by its words, such as `token create`, and whether others are below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) words: Vec<String>,
    pub(crate) has_others: bool,
}

impl Known {
    /// As a file is called after it.
    pub(crate) fn name(&self) -> String {
        self.words.join("-")
    }
}

/// Every command that help names, the program itself first.
pub(crate) fn all() -> Result<Vec<Known>> {
    let mut known = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(words) = open.pop() {
        let help = help(&words)?;
        let below: Vec<&str> = help
            .lines()
            .skip_while(|line| *line != "Commands:")
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .collect();
        for name in below.iter().rev() {
            let mut words = words.clone();
            words.push((*name).to_owned());
            open.push(words);
        }
        let has_others = !below.is_empty();
        known.push(Known { words, has_others });
    }
    Ok(known)
}

fn program() -> Result<Command> {
    let mut command = Command::new(mdfs()?);
    command.env_remove("COLUMNS");
    // Help shows what is set.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MDFS_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

fn help(words: &[String]) -> Result<String> {
    let output = succeed(program()?.args(words).arg("--help"), LIMIT)?;
    Ok(format!("{}\n", output.text()))
}

pub(crate) fn check(commands: &[Known], snapshots: &mut Snapshots) -> Result<()> {
    for command in commands {
        let text = help(&command.words)?;
        let name = format!("help/{}.txt", command.name().trim_matches('-'));
        let name = name.replace("help/.txt", "help/mdfs.txt");
        snapshots.compare(&name, &text, |want, found| want == found)?;
        let short = succeed(program()?.args(&command.words).arg("-h"), LIMIT)?;
        ensure!(
            short.text().contains("Usage:"),
            "{:?} -h says nothing",
            command.words
        );
        let wrong = run(
            program()?.args(&command.words).arg("--no-such-option"),
            LIMIT,
        )?;
        let code = wrong.code();
        ensure!(
            code == 2,
            "{:?} --no-such-option ended with {code}",
            command.words
        );
    }
    figure("commands whose help is pinned", &commands.len().to_string());
    let mut offered = String::new();
    for command in commands {
        let words = command.words.join(" ");
        let found = completed(&command.words)?.join(" ");
        offered.push_str(&format!(
            "{}: {found}\n",
            format!("mdfs {words}").trim_end()
        ));
    }
    snapshots.compare("completion.txt", &offered, |want, found| want == found)?;
    for shell in SHELLS {
        let script = succeed(program()?.args(["completions", shell]), LIMIT)?.text();
        for command in commands.iter().filter_map(|command| command.words.last()) {
            ensure!(
                script.contains(command.as_str()),
                "{shell} does not know {command}"
            );
        }
    }
    figure("shells that complete them", &SHELLS.join(", "));
    let folder = tempfile::tempdir()?;
    succeed(program()?.arg("man").arg(folder.path()), LIMIT)?;
    for command in commands {
        let mut name = vec!["mdfs".to_owned()];
        name.extend(command.words.iter().cloned());
        let page = folder.path().join(format!("{}.1", name.join("-")));
        ensure!(page.is_file(), "no manual page {}", page.display());
    }
    Ok(())
}

/// What bash offers behind these words.
fn completed(words: &[String]) -> Result<Vec<String>> {
    let script = "
        source /dev/stdin <<< \"$(\"$1\" completions bash)\"
        shift
        COMP_WORDS=(mdfs \"$@\") COMP_CWORD=$#
        _mdfs mdfs \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", script, "bash"]).arg(mdfs()?);
    let output = succeed(bash.args(words).arg(""), LIMIT)?;
    Ok(output.text().lines().map(str::to_owned).collect())
}
