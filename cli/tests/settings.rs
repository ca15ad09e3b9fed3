//! Where servers take their settings from. The program itself runs, because a variable of the
//! environment belongs to a process; it starts nothing.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails where it cannot"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const SECRET: &str = "not-for-anybody-not-for-anybody-not";

/// A folder with secrets and files of settings.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for name in ["key", "token", "link"] {
            folder.write(name, SECRET);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs `mdfs` here, with no other variables than these.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_mdfs"))
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// What it prints, if it does what it is told.
    #[track_caller]
    fn text(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.run(arguments, variables);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

const NEEDED: [&str; 7] = [
    "master",
    "--cluster-key-file=key",
    "--root-token-file=token",
    "--link-key-file=link",
    "--print-config",
    "--config",
    "master.yaml",
];

#[test]
fn flags_come_before_the_environment_and_that_before_the_file_and_that_before_defaults() {
    // A setting of each kind: its name, its default, and what file, environment and flag say.
    let settings = [
        ("lease", "3s", ["4s", "5s", "6s"]),
        ("body_rate", "1000", ["1KiB", "2KiB", "1MiB"]),
        ("max_connections", "4096", ["1", "2", "3"]),
        ("log_json", "false", ["true", "false", "true"]),
        ("listen", "0.0.0.0:8080", ["[::1]:1", "[::1]:2", "[::1]:3"]),
        ("advertise_url", "", ["http://f", "http://e", "http://a"]),
        ("cluster_key_file", "", ["f", "e", "a"]),
        ("trusted_proxy", "", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    ];
    let folder = Folder::new();
    let base = folder.0.path().canonicalize().unwrap();
    for (name, default, [in_file, in_environment, in_flag]) in settings {
        let shown = |value: &str, source: &str| match name {
            "cluster_key_file" => format!("{name}: {}  # {source}", base.join(value).display()),
            "listen" if value.starts_with('[') => format!("{name}: \"{value}\"  # {source}"),
            _ => format!("{name}: {value}  # {source}"),
        };
        let check = |arguments: &[&str], variables: &[(&str, &str)], want: String| {
            let needed = NEEDED
                .into_iter()
                .filter(|word| name != "cluster_key_file" || !word.starts_with("--cluster-key"));
            let all: Vec<&str> = needed.chain(arguments.iter().copied()).collect();
            let text = folder.text(&all, variables);
            assert!(text.lines().any(|line| line == want), "{want} in {text}");
        };
        folder.write("master.yaml", "# nothing\n");
        if !default.is_empty() {
            check(&[], &[], shown(default, "default"));
        } else if name == "advertise_url" {
            let unset = "# advertise_url is not set: the listening address";
            check(&[], &[], unset.to_owned());
        }
        folder.write("master.yaml", &format!("{name}: '{in_file}'\n"));
        check(&[], &[], shown(in_file, "file"));
        let variable = match name {
            "trusted_proxy" => "MDFS_TRUSTED_PROXIES".to_owned(),
            name => format!("MDFS_{}", name.to_uppercase()),
        };
        let variables = [(variable.as_str(), in_environment)];
        check(&[], &variables, shown(in_environment, "environment"));
        let flag = format!("--{}={in_flag}", name.replace('_', "-"));
        check(&[&flag], &variables, shown(in_flag, "flag"));
    }
}

/// The lines that say something, without where it comes from.
fn said(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once("  # ").map_or(line, |(said, _)| said))
        .collect()
}

#[test]
fn what_is_printed_can_be_given_back_and_holds_no_secret() {
    let folder = Folder::new();
    folder.write(
        "worker.yaml",
        "data_dir: disk\nname: 'true'\nzone: '#1: \"a\"'\ncapacity: 1GiB\nlog: warn,mdfs_worker=debug\n",
    );
    let arguments = [
        "worker",
        "--config=worker.yaml",
        "--cluster-key-file=key",
        "--master=http://a:1,http://b:2",
        "--print-config",
    ];
    let first = folder.text(&arguments, &[("MDFS_SCRUB_EVERY", "30d")]);
    let elsewhere = folder.0.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("again.yaml"), &first).unwrap();
    let again = folder.text(
        &["worker", "--print-config", "--config=elsewhere/again.yaml"],
        &[],
    );
    assert_eq!(said(&again), said(&first));
    assert!(said(&first).contains(&"scrub_every: 30d"), "{first}");
    assert!(again.contains("scrub_every: 30d  # file"), "{again}");
    assert!(!first.contains(SECRET), "{first}");
}

#[test]
fn the_samples_load_as_they_are_and_with_every_line_uncommented() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/samples");
    let folder = Folder::new();
    for (role, needed) in [
        (
            "master",
            &["--root-token-file=token", "--link-key-file=link"][..],
        ),
        (
            "worker",
            &["--name=w", "--data-dir=d", "--master=http://a"][..],
        ),
    ] {
        let sample = std::fs::read_to_string(samples.join(format!("{role}.yaml"))).unwrap();
        let path = folder.write("sample.yaml", &sample);
        let path = format!("--config={}", path.display());
        let mut arguments = vec![role, "--print-config", &path];
        let whole: String = sample
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with([' ', '-']) => format!("{setting}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        arguments.push("--cluster-key-file=key");
        arguments.extend(needed);
        let plain = folder.text(&arguments, &[]);
        assert!(!plain.contains("# file"), "{plain}");
        folder.write("sample.yaml", &whole);
        let text = folder.text(&[role, "--print-config", &path], &[]);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.is_empty() || line.ends_with("# file"), "{line}");
        }
        assert!(!text.contains("is not set"), "{text}");
    }
}

#[test]
fn the_file_of_the_commands_for_people_is_not_that_of_a_server() {
    let folder = Folder::new();
    let people = folder.write("config.yaml", "url: http://a\n");
    folder.write("server.yaml", "lease: 7s\n");
    let (people, mut needed) = (people.to_str().unwrap(), NEEDED.to_vec());
    needed.truncate(5);
    let variables = [
        ("MDFS_CONFIG", people),
        ("MDFS_SERVER_CONFIG", "server.yaml"),
    ];
    let text = folder.text(&needed, &variables);
    assert!(text.contains("lease: 7s  # file"), "{text}");
    assert!(
        folder
            .text(&needed, &variables[..1])
            .contains("lease: 3s  # default")
    );
}

#[test]
fn a_server_says_everything_that_is_wrong_and_does_not_start() {
    let folder = Folder::new();
    folder.write("master.yaml", "lease: 1ms\nmax_uploads: 0\n");
    let mut arguments = NEEDED.to_vec();
    arguments.retain(|word| *word != "--print-config");
    let output = folder.run(&arguments, &[("MDFS_DEAD_AFTER", "2s")]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for part in [
        "lease is 1ms: must be 300ms to 1m",
        "max_uploads is 0: must be 1 to 1000000",
        "dead_after is 2s: must be at least 3 times heartbeat, 3s",
    ] {
        assert!(errors.contains(part), "{part} in {errors}");
    }
}
