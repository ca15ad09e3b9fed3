//! The blocks of the pages for people: which of them are commands, and run as printed.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// A fenced block of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its first line, from 1.
    pub line: usize,
    /// What stands behind the fence.
    pub language: String,
    /// What is between the fences, without the last line end.
    pub text: String,
}

/// The pages whose commands run: the READMEs, those right in `docs`, and the runbooks.
///
/// # Errors
/// If they cannot be listed.
pub fn all(repository: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = vec![
        repository.join("README.md"),
        repository.join("README.zh-CN.md"),
    ];
    for folder in ["docs", "docs/runbooks"] {
        for entry in fs::read_dir(repository.join(folder))? {
            let path = entry?.path();
            let is_page = path.extension().is_some_and(|extension| extension == "md");
            pages.extend(is_page.then_some(path));
        }
    }
    pages.sort();
    Ok(pages)
}

/// The fenced blocks of a page, in order.
///
/// # Errors
/// If a block has no end, or does not say what it is.
pub fn blocks(page: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(page.lines());
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        ensure!(
            !language.trim().is_empty(),
            "line {number}: a block says what it is: sh for what runs, console or text for the rest"
        );
        let mut text = Vec::new();
        loop {
            let (_, line) = lines
                .next()
                .with_context(|| format!("line {number}: the block has no end"))?;
            if line == "```" {
                break;
            }
            text.push(line);
        }
        blocks.push(Block {
            line: number + 1,
            language: language.trim().to_owned(),
            text: text.join("\n"),
        });
    }
    Ok(blocks)
}

/// All commands of a page as one script, which says on standard error where it is; none if it has
/// none.
///
/// # Errors
/// As [`blocks`].
pub fn script(page: &str) -> Result<Option<String>> {
    let blocks = blocks(page)?;
    let commands: Vec<String> = blocks
        .iter()
        .filter(|block| block.language == "sh")
        .map(|block| format!("echo '# line {}' >&2\n{}\n", block.line, block.text))
        .collect();
    Ok((!commands.is_empty()).then(|| commands.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "a\n```sh\nx=1\n```\nb\n```text\nno\n```\n```sh\necho $x\n```\n";

    #[test]
    fn commands_are_one_script_in_order() {
        let script = script(PAGE).unwrap().unwrap();
        let want = "echo '# line 3' >&2\nx=1\necho '# line 10' >&2\necho $x\n";
        assert_eq!(script, want);
        assert_eq!(blocks(PAGE).unwrap().len(), 3);
        assert_eq!(super::script("a\n").unwrap(), None);
    }

    #[test]
    fn a_block_says_what_it_is_and_ends() {
        for bad in ["```\nx\n```\n", "```sh\nx\n"] {
            assert!(blocks(bad).is_err(), "{bad}");
        }
    }
}
