//! `mdfs verify`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{fields, print, separate, shown, table};
use clap::Args;
use mdfs_protocol::public::{CopyState, Verified, VerifyProblem};

/// Have all copies of files read and compared
#[derive(Debug, Args)]
pub struct Verify {
    /// Names of files
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Verify {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let client = context.client()?;
        let mut worst = Exit::Ok;
        for name in &self.names {
            let verified = client.verify(name).await?;
            let names = [verified.name.as_str()];
            separate(context.global.output, self.names.len())?;
            print(context.global.output, &verified, || text(&verified), names)?;
            worst = match (exit(&verified), worst) {
                (Exit::Mismatch, _) | (_, Exit::Mismatch) => Exit::Mismatch,
                (Exit::Degraded, _) | (_, Exit::Degraded) => Exit::Degraded,
                (_, worst) => worst,
            };
        }
        Ok(worst)
    }
}

fn exit(verified: &Verified) -> Exit {
    let damaged = |problem: &VerifyProblem| problem.state == CopyState::Damaged;
    let differs = verified
        .found_crc32
        .as_ref()
        .is_some_and(|found| *found != verified.crc32);
    if verified.good {
        Exit::Ok
    } else if differs || verified.problems.iter().any(damaged) {
        Exit::Mismatch
    } else {
        Exit::Degraded
    }
}

fn text(verified: &Verified) -> String {
    let word = if verified.good { "good" } else { "NOT GOOD" };
    let found = verified.found_crc32.as_deref().unwrap_or("cannot be told");
    let head = fields(&[
        ("file", shown(&verified.name).into_owned()),
        ("copies", word.to_owned()),
        (
            "chunks",
            format!("{} with {} copies each", verified.chunks, verified.replicas),
        ),
        ("CRC-32", format!("{}, found {found}", verified.crc32)),
    ]);
    let workers = verified.workers.iter().map(|worker| {
        vec![
            worker.disk_id.to_string(),
            worker.asked.to_string(),
            worker.good.to_string(),
            worker.moving.to_string(),
        ]
    });
    let columns = ["DISK", ">ASKED", ">GOOD", ">MOVING"];
    let mut text = format!("{head}{}", table(&columns, workers));
    if !verified.problems.is_empty() {
        let problems = verified.problems.iter().map(|problem| {
            vec![
                problem.chunk.to_string(),
                format!("{}-{}", problem.bytes.0, problem.bytes.1),
                word_of(problem.state).to_owned(),
                problem.disk_id.to_string(),
                shown(&problem.detail).into_owned(),
            ]
        });
        text.push_str(&table(
            &[">CHUNK", "BYTES", "STATE", "DISK", "DETAIL"],
            problems,
        ));
    }
    text
}

fn word_of(state: CopyState) -> &'static str {
    match state {
        CopyState::Damaged => "damaged",
        CopyState::Missing => "missing",
        CopyState::Unknown => "unknown",
    }
}
