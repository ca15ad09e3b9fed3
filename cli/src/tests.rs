use super::*;

#[track_caller]
fn check(line: &str, want: Exit) {
    let got = run(line.split(' ').map(OsString::from));
    assert_eq!(got, ExitCode::from(want), "{line}");
}

#[test]
fn usage_is_told_by_the_exit_code() {
    check("mdfs --version", Exit::Ok);
    check("mdfs put --help", Exit::Ok);
    check("mdfs", Exit::Usage);
    check("mdfs nonsense", Exit::Usage);
    check("mdfs sign a --expires soon", Exit::Usage);
    check("mdfs --url https:/nonsense ls", Exit::Usage);
    check("mdfs --url http://127.0.0.1:1 rm a", Exit::Usage);
    check("mdfs --url http://127.0.0.1:1 put . films", Exit::Usage);
    check(
        "mdfs --url http://127.0.0.1:1 put ./no-such-file",
        Exit::NotFound,
    );
    check(
        "mdfs --url http://127.0.0.1:1 --token-file ./no-such-file ls",
        Exit::NotFound,
    );
    check("mdfs --config ./no-such-file ls", Exit::NotFound);
}

#[test]
fn the_arguments_are_well_formed() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

/// The commands that can be seen, with those below them.
fn commands(command: &clap::Command, found: &mut Vec<clap::Command>) {
    for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        found.push(one.clone());
        commands(one, found);
    }
}

#[test]
fn every_command_says_what_it_does_and_its_examples_can_be_typed() {
    use clap::{CommandFactory, Parser};
    let program = Cli::command();
    let mut known = 0;
    for command in program.get_subcommands().filter(|one| !one.is_hide_set()) {
        let name = command.get_name();
        assert!(
            command.get_about().is_some(),
            "{name} does not say what it does"
        );
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let examples = help.strip_prefix("Examples:\n");
        let examples = examples.unwrap_or_else(|| panic!("{name} has no examples"));
        for example in examples.replace("\\\n", "").lines() {
            for words in typed(example) {
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
                known += usize::from(words.get(1).is_some_and(|word| word == name));
            }
        }
    }
    assert!(known > 40, "{known}");
    let mut all = Vec::new();
    commands(&program, &mut all);
    assert!(all.iter().all(|one| one.get_about().is_some()));
}

/// The words of each call of the program in a line of a shell.
fn typed(line: &str) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    for part in line
        .split(['|', ';', '(', ')', '>', '"'])
        .flat_map(|part| part.split("&&"))
    {
        let words: Vec<String> = part.split_whitespace().map(str::to_owned).collect();
        let Some(start) = words.iter().position(|word| word == "mdfs") else {
            continue;
        };
        calls.push(words[start..].to_vec());
    }
    calls
}
