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
