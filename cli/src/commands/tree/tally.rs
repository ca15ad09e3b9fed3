//! What became of each file, told as it comes and counted at the end.

use super::Trouble;
use crate::commands::Context;
use crate::error::{CliError, Exit};
use crate::output::{Format, print, print_text, shown, size};
use crate::progress;
use indicatif::ProgressBar;
use serde::Serialize;

/// The most failures that the document at the end names; all are told of on the way.
const MOST_FAILURES: usize = 1000;

/// What became of one file.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It went, or would have gone.
    Moved { name: String, bytes: u64 },
    /// It was there already.
    Same,
    /// It was left out on purpose.
    Left { subject: String, why: &'static str },
    /// It did not go.
    Failed { subject: String, trouble: Trouble },
    /// Nothing more can go.
    Stopped(CliError),
}

/// The words for a direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) done: &'static str,
    pub(super) would: &'static str,
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    dry_run: bool,
    transferred: u64,
    skipped: u64,
    failed: u64,
    left_out: u64,
    bytes: u64,
    seconds: f64,
    bytes_per_second: u64,
    failures: Vec<Failure>,
    /// Those that would go; only when nothing did.
    files: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Failure {
    subject: String,
    why: String,
}

/// Counts outcomes, and tells of those that a person should know.
pub(super) struct Tally {
    words: Words,
    format: Format,
    quiet: bool,
    subject: String,
    bar: ProgressBar,
    stopped: Option<CliError>,
    summary: Summary,
}

impl Tally {
    pub(super) fn new(context: &Context, words: Words, subject: &str, dry_run: bool) -> Self {
        let quiet = context.global.quiet;
        Self {
            words,
            format: context.global.output,
            quiet,
            subject: shown(subject).into_owned(),
            bar: progress::bar(subject, None, quiet || dry_run),
            stopped: None,
            summary: Summary {
                dry_run,
                ..Summary::default()
            },
        }
    }

    /// Where bytes are counted on the way.
    pub(super) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Counts one outcome; whether others are of use.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(super) fn add(&mut self, outcome: Outcome) -> Result<bool, CliError> {
        let summary = &mut self.summary;
        match outcome {
            Outcome::Moved { name, bytes } => {
                summary.transferred += 1;
                summary.bytes += bytes;
                self.tell_moved(name)?;
            }
            Outcome::Same => summary.skipped += 1,
            Outcome::Left { subject, why } => {
                summary.left_out += 1;
                if !self.quiet {
                    self.say(&format!("note: {}: {why}", shown(&subject)));
                }
            }
            Outcome::Failed { subject, trouble } => {
                summary.failed += 1;
                let why = match &trouble {
                    Trouble::Command(error) => error.text(),
                    Trouble::Refused(why) => why.clone(),
                };
                self.say(&format!("error: {}: {why}", shown(&subject)));
                if self.summary.failures.len() < MOST_FAILURES {
                    self.summary.failures.push(Failure { subject, why });
                }
                if trouble.is_for_all()
                    && let Trouble::Command(error) = trouble
                {
                    self.stopped = Some(error);
                }
            }
            Outcome::Stopped(error) => self.stopped = Some(error),
        }
        let Summary {
            transferred,
            skipped,
            ..
        } = &self.summary;
        let (subject, done) = (&self.subject, self.words.done);
        self.bar.set_message(format!(
            "{subject}  {done} {transferred}, skipped {skipped}"
        ));
        Ok(self.stopped.is_none())
    }

    fn tell_moved(&mut self, name: String) -> Result<(), CliError> {
        match self.format {
            Format::Name => print(Format::Name, &(), String::new, [name.as_str()]),
            Format::Table if self.summary.dry_run => {
                print_text(&format!("would {} {}", self.words.would, shown(&name)))
            }
            Format::Json | Format::Yaml if self.summary.dry_run => {
                self.summary.files.push(name);
                Ok(())
            }
            Format::Table | Format::Json | Format::Yaml => Ok(()),
        }
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Prints the sums.
    ///
    /// # Errors
    /// What stopped it all; also if standard output cannot be written.
    pub(super) fn finish(mut self) -> Result<Exit, CliError> {
        let seconds = self.bar.elapsed().as_secs_f64();
        self.bar.finish_and_clear();
        self.summary.seconds = (seconds * 1000.0).round() / 1000.0;
        let millis = u64::try_from(self.bar.elapsed().as_millis()).unwrap_or(u64::MAX);
        let per_second = self.summary.bytes.saturating_mul(1000) / millis.max(1);
        self.summary.bytes_per_second = if self.summary.dry_run { 0 } else { per_second };
        print(self.format, &self.summary, || self.text(), [])?;
        match self.stopped {
            Some(error) => Err(error),
            None if self.summary.failed > 0 => Ok(Exit::Failed),
            None => Ok(Exit::Ok),
        }
    }

    fn text(&self) -> String {
        let Summary {
            dry_run,
            transferred,
            skipped,
            failed,
            left_out,
            bytes,
            seconds,
            bytes_per_second,
            failures: _,
            files: _,
        } = &self.summary;
        let bytes = size(*bytes);
        let went = if *dry_run {
            format!(
                "would {} {transferred} files with {bytes}",
                self.words.would
            )
        } else {
            let rate = size(*bytes_per_second);
            let done = self.words.done;
            format!("{done} {transferred} files with {bytes} in {seconds:.1} s ({rate}/s)")
        };
        let left = match left_out {
            0 => String::new(),
            left => format!(", left out {left}"),
        };
        format!("{went}, skipped {skipped}, failed {failed}{left}")
    }
}
