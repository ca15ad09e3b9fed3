//! Puts the files of `console/` into a program that is built for use. One that is built for work reads
//! them from there while it runs, so that a change of a page needs no build.

#![expect(
    clippy::disallowed_methods,
    reason = "what cargo tells a build comes by variables alone"
)]

use std::env::var;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(console_inside)");
    if var("PROFILE").is_ok_and(|profile| profile != "release") {
        return Ok(());
    }
    println!("cargo::rustc-cfg=console_inside");
    println!("cargo::rerun-if-changed=console");
    let folder = PathBuf::from(var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let folder = folder.join("console");
    let mut files = Vec::new();
    gather(&folder, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let path = file.strip_prefix(&folder).map_err(io::Error::other)?;
        table += &format!("({path:?}, include_bytes!({file:?})),\n");
    }
    table += "]\n";
    let out = PathBuf::from(var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("console.rs"), table)
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
