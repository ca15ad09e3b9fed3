//! A test film: a moving picture with a counter, and a tone.

use crate::command::succeed;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long ffmpeg may take for anything.
const LIMIT: Duration = Duration::from_secs(300);

/// Makes a film of `seconds` at `path`. An `.mp4` has its index at the start, as players like it;
/// an `.mkv` has its index wherever Matroska puts it.
///
/// # Errors
/// If ffmpeg is missing or fails.
pub fn make(path: &Path, seconds: u32, size: &str) -> Result<()> {
    let picture = format!("testsrc2=size={size}:rate=25:duration={seconds}");
    let sound = format!("sine=frequency=440:duration={seconds}");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args([
        "-nostdin",
        "-loglevel",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        &picture,
    ]);
    ffmpeg.args([
        "-f",
        "lavfi",
        "-i",
        &sound,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
    ]);
    ffmpeg.args([
        "-pix_fmt",
        "yuv420p",
        "-g",
        "50",
        "-c:a",
        "aac",
        "-shortest",
    ]);
    if path.extension().is_some_and(|extension| extension == "mp4") {
        ffmpeg.args(["-movflags", "+faststart"]);
    }
    succeed(ffmpeg.arg(path), LIMIT)?;
    Ok(())
}

/// Puts the same sound and pictures into another container.
///
/// # Errors
/// If ffmpeg is missing or fails.
pub fn convert(from: &Path, to: &Path) -> Result<()> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-nostdin", "-loglevel", "error", "-y", "-i"])
        .arg(from)
        .args(["-c", "copy"]);
    succeed(ffmpeg.arg(to), LIMIT)?;
    Ok(())
}

/// Seconds that ffprobe says the film at `source`, a path or URL, lasts.
///
/// # Errors
/// If ffprobe cannot read it, or finds no picture or no sound.
pub fn probe(source: &str) -> Result<f64> {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args([
        "-v",
        "error",
        "-of",
        "json",
        "-show_format",
        "-show_streams",
        source,
    ]);
    let output = succeed(&mut ffprobe, LIMIT)?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let streams = report.get("streams").and_then(|streams| streams.as_array());
    let kinds: Vec<_> = streams
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("codec_type")?.as_str())
        .collect();
    ensure!(
        kinds.contains(&"video") && kinds.contains(&"audio"),
        "{source} has only {kinds:?}"
    );
    let duration = report
        .pointer("/format/duration")
        .and_then(|text| text.as_str());
    Ok(duration.context("ffprobe names no duration")?.parse()?)
}

/// The MD5 of the first picture and the sound of one second at `seconds` of the film at `source`.
///
/// # Errors
/// If ffmpeg cannot read it there.
pub fn picture_at(source: &str, seconds: f64) -> Result<String> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args([
        "-nostdin",
        "-loglevel",
        "error",
        "-ss",
        &format!("{seconds:.3}"),
    ]);
    ffmpeg.args(["-i", source, "-t", "1", "-f", "md5", "-"]);
    let output = succeed(&mut ffmpeg, LIMIT)?;
    ensure!(
        output.text().starts_with("MD5="),
        "ffmpeg decoded nothing of {source}"
    );
    Ok(output.text())
}
