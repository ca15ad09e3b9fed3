//! `mdfs tasks`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{print, shown, size, table};
use mdfs_protocol::public::Task;
use std::time::Duration;

pub(crate) async fn execute(context: &Context) -> Result<Exit, CliError> {
    let tasks = context.client()?.tasks().await?;
    let text = || {
        if tasks.tasks.is_empty() {
            return "nothing goes on".to_owned();
        }
        let mut text = table(
            &[
                "TASK", "OF", ">DONE", ">CHUNKS", ">BYTES", ">RATE", ">SINCE", ">LEFT",
            ],
            tasks.tasks.iter().map(row),
        );
        if tasks.more > 0 {
            text.push_str(&format!("and {} more\n", tasks.more));
        }
        text
    };
    let names = tasks.tasks.iter().map(|task| task.kind.as_str());
    print(context.global.output, &tasks, text, names)?;
    Ok(Exit::Ok)
}

fn row(task: &Task) -> Vec<String> {
    vec![
        task.kind.as_str().to_owned(),
        subject(task),
        format!("{} %", task.percent()),
        format!("{}/{}", task.done_chunks, task.total_chunks),
        format!("{}/{}", size(task.done_bytes), size(task.total_bytes)),
        format!("{}/s", size(task.bytes_per_second)),
        span(Duration::from_millis(task.millis)),
        left(task),
    ]
}

/// One line for a status.
pub(super) fn line(task: &Task) -> String {
    format!(
        "{} of {}: {} % of {}, {}/s, {} left",
        task.kind.as_str(),
        subject(task),
        task.percent(),
        size(task.total_bytes),
        size(task.bytes_per_second),
        left(task),
    )
}

fn subject(task: &Task) -> String {
    let name = task.worker.as_deref();
    name.map_or("the cluster".to_owned(), |name| shown(name).into_owned())
}

fn left(task: &Task) -> String {
    let seconds = task.eta_seconds.map(Duration::from_secs);
    seconds.map_or("?".to_owned(), span)
}

/// A span in its largest two units.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let text = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(
            [text(0), text(59), text(61), text(3_660), text(90_000)],
            ["0s", "59s", "1m01s", "1h01m", "1d01h"]
        );
    }
}
