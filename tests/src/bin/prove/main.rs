//! Proofs with real processes: `prove NAME [--short]`. `cargo xtask prove` builds and runs it.

mod access_matrix;
mod alerts;
mod api_fuzz;
mod cli;
mod cold_start;
mod compose;
mod console;
mod disk_full;
mod docs;
mod figures;
mod first_run;
mod formats;
mod grow_shrink;
mod heal_rot;
mod heal_worker;
mod healing;
mod heartbeat;
mod image;
mod invariants;
mod k8s;
mod k8s_bare;
mod kill_master;
mod kill_worker;
mod leader_kill;
mod load;
mod million_files;
mod no_revival;
mod partition;
mod printed;
mod ranges;
mod recover;
mod resume;
mod round_trip;
mod skipped;
mod slow_clients;
mod speed;
mod tree;
mod truth;
mod two_and_three;
mod wipe_all;

use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
struct Arguments {
    /// Which claim
    name: Name,
    /// The small form, which does not judge speed
    #[arg(long)]
    short: bool,
    /// Keep the cluster of a proof on Kubernetes until the input has a line
    #[arg(long)]
    keep: bool,
    /// A Python that has schemathesis
    #[arg(long, env = "MDFS_SCHEMATHESIS", hide = true)]
    schemathesis: Option<PathBuf>,
    /// A Python that has Playwright
    #[arg(long, env = "MDFS_PLAYWRIGHT", hide = true)]
    playwright: Option<PathBuf>,
    /// Write what `cli` compares with anew
    #[arg(long)]
    write: bool,
    /// Says that this process is in a room of its own, where networks are parted
    #[arg(long, hide = true)]
    inside: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    FirstRun,
    RoundTrip,
    KillWorker,
    MillionFiles,
    KillMaster,
    LeaderKill,
    HealWorker,
    HealRot,
    NoRevival,
    ColdStart,
    GrowShrink,
    Resume,
    Tree,
    Cli,
    Docs,
    Compose,
    Heartbeat,
    DiskFull,
    Truth,
    TwoAndThree,
    WipeAll,
    Formats,
    Recover,
    Partition,
    AccessMatrix,
    Alerts,
    ApiFuzz,
    Console,
    ConsoleScale,
    ConsoleRights,
    SlowClients,
    Speed,
    Image,
    Chart,
    K8sGuard,
    K8sConverged,
    K8sCrash,
    K8sBed,
    K8sFirst,
    K8sLoss,
    K8sGrow,
    K8sDelete,
    K8sQuiet,
    K8sScale,
    K8sUpgrade,
}

/// Bytes in a MiB.
const MIB: u64 = 1 << 20;
/// Bytes in a GiB.
const GIB: u64 = 1 << 30;

fn main() -> ExitCode {
    let Arguments {
        name,
        short,
        keep,
        schemathesis,
        playwright,
        write,
        inside,
    } = Arguments::parse();
    let form = k8s::Form { short, keep };
    let started = mdfs_tests::wait::now();
    let result = match name {
        Name::FirstRun => first_run::prove(short),
        Name::RoundTrip => round_trip::prove(short),
        Name::KillWorker => kill_worker::prove(short),
        Name::MillionFiles => million_files::prove(short),
        Name::KillMaster => kill_master::prove(short),
        Name::LeaderKill => leader_kill::prove(short),
        Name::HealWorker => heal_worker::prove(short),
        Name::HealRot => heal_rot::prove(short),
        Name::NoRevival => no_revival::prove(short),
        Name::ColdStart => cold_start::prove(short),
        Name::GrowShrink => grow_shrink::prove(short),
        Name::Resume => resume::prove(short),
        Name::Cli => cli::prove(write),
        Name::Compose => compose::prove(inside),
        Name::Docs => docs::prove(short),
        Name::Tree => tree::prove(short),
        Name::Heartbeat => heartbeat::prove(short),
        Name::DiskFull => disk_full::prove(short),
        Name::Truth => truth::prove(short),
        Name::TwoAndThree => two_and_three::prove(short),
        Name::WipeAll => wipe_all::prove(short),
        Name::Formats => formats::prove(short),
        Name::Recover => recover::prove(short),
        Name::Partition => partition::prove(short, inside),
        Name::AccessMatrix => access_matrix::prove(short),
        Name::Alerts => alerts::prove(short),
        Name::ApiFuzz => api_fuzz::prove(short, schemathesis.as_deref()),
        Name::Console => console::prove(short, playwright.as_deref()),
        Name::ConsoleScale => console::scale(short, playwright.as_deref()),
        Name::ConsoleRights => console::rights(short, playwright.as_deref()),
        Name::SlowClients => slow_clients::prove(short),
        Name::Speed => speed::prove(short),
        Name::Image => image::prove(short),
        Name::Chart => k8s_bare::chart::prove(short),
        Name::K8sGuard => k8s_bare::guard::prove(),
        Name::K8sConverged => {
            k8s_bare::converged::prove(short).and_then(|()| k8s_bare::steps::prove())
        }
        Name::K8sCrash if short => k8s_bare::crash::prove(short),
        Name::K8sCrash => k8s_bare::crash::prove(short).and_then(|()| k8s::crash::prove()),
        Name::K8sBed => k8s::bed::prove(keep),
        Name::K8sFirst => k8s::first::prove(form),
        Name::K8sLoss => k8s::loss::prove(form),
        Name::K8sGrow => k8s::grow::prove(form),
        Name::K8sDelete => k8s::delete::prove(form),
        Name::K8sQuiet => k8s::quiet::prove(form),
        Name::K8sScale => k8s::scale::prove(form),
        Name::K8sUpgrade => k8s::upgrade::prove(form),
    };
    let name = name
        .to_possible_value()
        .map(|value| value.get_name().to_owned());
    let name = name.unwrap_or_default();
    let seconds = started.elapsed().as_secs();
    match (result, skipped::ended()) {
        // Who made the room says it.
        (Ok(()), _) if inside => ExitCode::SUCCESS,
        (Ok(()), Some((what, code))) => {
            println!("SKIPPED {name}, in part or whole, after {seconds} s: {what}");
            code
        }
        (Ok(()), None) => {
            println!("PROVED {name} in {seconds} s");
            ExitCode::SUCCESS
        }
        (Err(error), _) => {
            println!("FAILED {name} after {seconds} s: {error:#}");
            ExitCode::FAILURE
        }
    }
}
