//! What is written about settings, made from their table: a page, and a sample file for each role.

use super::effective::quoted;
use super::table::{Kind, Role, Row};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configuration
<!-- Made by `cargo xtask generate` from the program's own arguments. -->

A server takes each setting from the first of these that has it:

1. its flag, such as `--lease 5s`;
2. its environment variable, such as `MDFS_LEASE=5s`;
3. a YAML file, named by `--config FILE` or `MDFS_SERVER_CONFIG`, such as a line `lease: 5s`;
4. its default.

`mdfs master --print-config`, and `mdfs worker` and `mdfs operator` alike, with the same flags, environment
and file, print all settings and where each comes from, as a file that can be given back, and start nothing. A server
that is given something it cannot use says everything that is wrong, and does not start. Samples with all
settings: [master.yaml](samples/master.yaml), [worker.yaml](samples/worker.yaml),
[operator.yaml](samples/operator.yaml).

- **Times** are a whole number and one of `ms`, `s`, `m`, `h`, `d`: `500ms`, `15s`, `30d`.
- **Bytes** are a whole number, or one and `KiB`, `MiB`, `GiB`, `TiB`, `PiB` or `EiB`: `64MiB`.
- **Lists** repeat the flag, are a YAML list, or have commas between their values.
- **Paths** in a file count from the file's folder.
- **Secrets** are never settings: a setting names the file that holds one.

`MDFS_CONFIG` and `--config` of the commands for people name another file, with `url` and `token_file`.
";

/// `docs/configuration.md`.
pub(crate) fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for role in Role::ALL {
        let _ = write!(page, "\n## `mdfs {}`\n", role.name());
        let mut heading = String::new();
        for row in role.settings() {
            if row.heading() != heading {
                row.heading().clone_into(&mut heading);
                let _ = write!(
                    page,
                    "\n### {heading}\n| setting | flag and variable | value | default | what it is |\n\
                     |---|---|---|---|---|\n"
                );
            }
            let default = match (&row.default, row.is_fixed()) {
                (Some(default), true) => format!("`{default}`"),
                (Some(default), false) => default.clone(),
                (None, _) => "must be set".to_owned(),
            };
            let _ = writeln!(
                page,
                "| `{}` | `{}` `{}` | {} | {default} | {} |",
                row.name,
                row.flag(),
                row.variable(),
                value(&row),
                row.about,
            );
        }
    }
    page
}

/// `docs/samples/ROLE.yaml`: every setting, commented out, with its default or an example.
pub(crate) fn sample(role: Role) -> String {
    let name = role.name();
    let mut sample = format!(
        "# Settings of a {name}, for `mdfs {name} --config {name}.yaml`. Each line shows a default, or an\n\
         # example where there is none; those that must be set say so. docs/configuration.md tells more.\n"
    );
    let mut heading = String::new();
    for row in role.settings() {
        if row.heading() != heading {
            row.heading().clone_into(&mut heading);
            let _ = write!(sample, "\n# --- {heading} ---\n");
        }
        let _ = write!(sample, "\n# {}: {}.\n", row.about, value(&row));
        let _ = match (&row.default, row.is_fixed()) {
            (None, _) => writeln!(sample, "# Must be set."),
            (Some(default), false) => writeln!(sample, "# Default: {default}."),
            (Some(_), true) => Ok(()),
        };
        let shown = match &row.default {
            Some(default) if row.is_fixed() => default,
            _ => example(&row.name),
        };
        let _ = writeln!(sample, "#{}: {}", row.name, quoted(row.kind, shown));
    }
    sample
}

/// What a value may be.
fn value(row: &Row) -> String {
    let what = match row.kind {
        Kind::Span => "time",
        Kind::Size => "bytes",
        Kind::Rate => "bytes a second",
        Kind::Number => "number",
        Kind::Switch => "true or false",
        Kind::Path => "path",
        Kind::Text => "text",
    };
    let what = if row.many {
        format!("list, each a {what}")
    } else {
        what.to_owned()
    };
    match row.bounds {
        Some((least, most)) => format!("{what}, {least} to {most}"),
        None if row.kind == Kind::Number => format!("{what}, at least 1"),
        None => what,
    }
}

/// A value for a setting that has none by itself.
fn example(name: &str) -> &'static str {
    match name {
        "advertise_url" => "http://10.0.0.7:8080",
        "cluster_name" => "films",
        "grafana_url" => "https://grafana.example/d/mdfs",
        "cluster_id" => "000000000000000000000000000000c1",
        "trusted_proxy" => "10.0.0.0/8",
        "root_token_file" => "/etc/mdfs/root.token",
        "link_key_file" => "/etc/mdfs/link.key",
        "cluster_key_file" => "/etc/mdfs/cluster.key",
        "threads" => "4",
        "log" => "info",
        "name" => "worker-0",
        "zone" => "rack-1",
        "master" => "http://masters:8080",
        "seed" => "http://workers:8081",
        "data_dir" => "/var/lib/mdfs",
        "capacity" => "4TiB",
        "reserve" => "10GiB",
        "copy_rate" => "50MiB",
        "namespace" => "media",
        "lease_namespace" => "mdfs-system",
        "identity" => "operator-0",
        _ => "",
    }
}
