use super::file::read;
use super::table::{Kind, Role};
use super::*;
use std::fs;

/// What is wrong with a file of a worker.
#[track_caller]
fn refused(text: &str, want: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.yaml");
    fs::write(&path, text).unwrap();
    let error = read(&path, Role::Worker).unwrap_err();
    let CliError::ConfigFile { what, path: named } = error else {
        panic!("{error}");
    };
    assert_eq!((what.as_str(), named), (want, path), "{text}");
}

#[test]
fn a_file_that_says_something_else_is_refused_with_line_setting_and_what_is_expected() {
    refused(
        "name: w\nleese: 5s\n",
        "line 2: there is no setting leese, did you mean lease?",
    );
    refused("a: 1", "line 1: there is no setting a");
    refused(
        "name: w\n\nlease: 15\n",
        "line 3: lease: expected a whole number and one of ms, s, m, h, d, such as 15s",
    );
    refused(
        "capacity: 4TB",
        "line 1: capacity: expected a whole number of bytes, or one and KiB, MiB, GiB, TiB, PiB or EiB, such \
         as 64MiB",
    );
    refused(
        "max_connections: many",
        "line 1: max_connections: expected a whole number",
    );
    refused("log_json: yes", "line 1: log_json: expected true or false");
    refused(
        "listen: here",
        "line 1: listen: invalid socket address syntax",
    );
    refused(
        "name: w\nzone: ''\n",
        "line 2: zone: there is no value; without the line it has its default",
    );
    refused(
        "lease: [1s, 2s]",
        "line 1: lease: invalid type: sequence, expected one value",
    );
    refused(
        "master:\n  - http://a\n  - b: c\n",
        "line 3: master[1]: invalid type: map, expected one value",
    );
    refused(
        "master: http://a,http://b",
        "line 1: master: must be a list instead of values with ',' between",
    );
    refused("lease: 1s\nlease: 2s\n", "line 2: lease is there twice");
    refused(
        "lease: 1s\n---\nlease: 2s\n",
        "it must be one document, without a line of ---",
    );
    refused(
        "- lease",
        "line 1: invalid type: sequence, expected lines of `setting: value`",
    );
}

#[test]
fn a_file_names_the_setting_that_is_wrong_and_never_a_secret_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.yaml");
    fs::write(&path, "cluster_key: very-secret\n").unwrap();
    let error = read(&path, Role::Worker).unwrap_err().to_string();
    assert!(error.contains("did you mean cluster_key_file?"), "{error}");
    assert!(!error.contains("very-secret"), "{error}");
}

#[test]
fn values_are_taken_as_they_stand_and_paths_count_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.yaml");
    let text = "# a comment\nname: 007\nzone: \"null\"\ndata_dir: disk\ncluster_key_file: /k\n\
                master: [http://a, http://b]\n";
    fs::write(&path, text).unwrap();
    let given = read(&path, Role::Worker).unwrap();
    let one = |name: &str| given[name][0].to_str().unwrap().to_owned();
    assert_eq!((one("name"), one("zone")), ("007".into(), "null".into()));
    let disk = folder.path().join("disk");
    assert_eq!(one("data_dir"), disk.to_str().unwrap());
    assert_eq!(one("cluster_key_file"), "/k");
    assert_eq!(given["master"], ["http://a", "http://b"]);
    assert_eq!(given.len(), 5);
    for empty in ["", "# nothing\n", "{}\n"] {
        fs::write(&path, empty).unwrap();
        assert!(read(&path, Role::Worker).unwrap().is_empty(), "{empty}");
    }
}

#[test]
fn every_quantity_has_bounds_that_its_default_keeps() {
    for role in Role::ALL {
        for row in role.settings() {
            let name = &row.name;
            let is_quantity = matches!(
                row.kind,
                Kind::Span | Kind::Size | Kind::Rate | Kind::Number
            );
            // A count of threads has a type that says it all.
            assert_eq!(
                row.bounds.is_some(),
                is_quantity && name != "threads",
                "{name}"
            );
            assert!(!row.variable().is_empty(), "{name}");
            assert!(!row.heading().is_empty() && !row.about.is_empty(), "{name}");
            if let Some(default) = row.default.as_deref().filter(|_| row.is_fixed()) {
                assert_eq!(row.check(default), Ok(()), "{name}");
            }
        }
    }
}

#[test]
fn every_bound_is_that_of_a_setting() {
    #[track_caller]
    fn check<C>(role: Role, settings: &[mdfs_service::settings::Setting<C>]) {
        let rows = role.settings();
        for setting in settings {
            let is_one = rows.iter().any(|row| row.name == setting.name);
            assert!(is_one, "{}", setting.name);
        }
    }
    check(Role::Master, mdfs_master::Config::SETTINGS);
    check(Role::Master, mdfs_master::Limits::SETTINGS);
    check(Role::Master, mdfs_master::gateway::Limits::SETTINGS);
    check(Role::Master, mdfs_service::Limits::SETTINGS);
    check(Role::Worker, mdfs_worker::Config::SETTINGS);
    check(Role::Worker, mdfs_worker::Limits::SETTINGS);
    check(Role::Worker, mdfs_service::Limits::SETTINGS);
    check(Role::Operator, mdfs_operator::Config::SETTINGS);
    check(Role::Operator, mdfs_service::Limits::SETTINGS);
}

#[test]
fn a_role_is_found_behind_options_and_not_taken_for_an_argument() {
    #[track_caller]
    fn check(line: &str, want: Option<Role>) {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        assert_eq!(role_in(&words), want, "{line}");
    }
    check("mdfs master", Some(Role::Master));
    check("mdfs master --help", Some(Role::Master));
    check("mdfs -v worker --nonsense", Some(Role::Worker));
    check("mdfs --url http://a worker", Some(Role::Worker));
    check("mdfs put master", None);
    check("mdfs --url master ls", None);
    check("mdfs", None);
}

#[test]
fn the_help_of_a_role_shows_units_and_defaults_and_no_options_of_other_commands() {
    for role in Role::ALL {
        let words = ["mdfs", role.name(), "--help"].map(OsString::from);
        let Err(Refused::Arguments(error)) = parse(words.into()) else {
            panic!("no help");
        };
        // However it is wrapped.
        let help = error.to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let own: &[&str] = match role {
            Role::Master | Role::Worker => &[
                "--cluster-key-file <FILE>",
                "Leases and failures:",
                "--lease <TIME>",
                "[env: MDFS_LEASE]",
                "[default: 3s]",
            ],
            Role::Operator => &[
                "Kubernetes:",
                "--poll <TIME>",
                "[env: MDFS_POLL]",
                "[default: 10s]",
            ],
        };
        let common = &["--config <FILE>", "[env: MDFS_SERVER_CONFIG]"];
        for part in own.iter().chain(common) {
            assert!(help.contains(part), "{part} in {help}");
        }
        for part in ["--url", "MDFS_CONFIG", "MDFS_TOKEN_FILE", "--output"] {
            assert!(!help.contains(part), "{part} in {help}");
        }
    }
}
