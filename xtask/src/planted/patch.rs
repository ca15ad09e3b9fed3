//! One planted bug: the file that says what it breaks, and what must notice it.

use super::catcher::Catcher;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// A bug, as a patch file in `tests/planted` describes it.
///
/// The file begins with lines `# KEY: TEXT`: the `rule` that the patch breaks, `by` what it must be
/// noticed, and what of it is then `seen`. With `# short` it is also planted in the short form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bug {
    /// The name of its file, without the ending.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) rule: String,
    pub(super) by: Catcher,
    pub(super) seen: String,
    pub(super) short: bool,
}

impl Bug {
    /// All bugs of a folder, by name.
    ///
    /// # Errors
    /// If a file cannot be read, or does not begin as it must.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>> {
        let mut bugs = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "patch") {
                let text = std::fs::read_to_string(&path)?;
                let bug = Self::parse(&path, &text);
                bugs.push(bug.with_context(|| path.display().to_string())?);
            }
        }
        bugs.sort_by(|a: &Self, b| a.name.cmp(&b.name));
        Ok(bugs)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let (mut rule, mut by, mut seen, mut short) = (None, None, None, false);
        let head = text.lines().map_while(|line| line.strip_prefix("# "));
        for line in head {
            match line.split_once(": ") {
                Some(("rule", text)) => rule = Some(text.to_owned()),
                Some(("by", text)) => by = Some(text.parse()?),
                Some(("seen", text)) => seen = Some(text.to_owned()),
                None if line == "short" => short = true,
                Some(_) | None => bail!("what is {line:?}?"),
            }
        }
        let name = path.file_stem().and_then(|name| name.to_str());
        Ok(Self {
            name: name.context("a file without a name")?.to_owned(),
            path: path.to_owned(),
            rule: rule.context("no rule")?,
            by: by.context("nothing that notices it")?,
            seen: seen.context("nothing that is seen")?,
            short,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_says_what_it_breaks_and_who_must_notice() {
        let parse = |text| Bug::parse(Path::new("a/01-promise.patch"), text);
        let bug =
            parse("# rule: it holds\n# by: model 1 voter\n# seen: M4\n# short\n--- a/b\n").unwrap();
        assert_eq!(bug.name, "01-promise");
        assert_eq!(bug.rule, "it holds");
        assert_eq!(bug.by, Catcher::Model("1 voter".to_owned()));
        assert_eq!((bug.seen.as_str(), bug.short), ("M4", true));
        for text in [
            "# rule: it holds\n# by: model 1 voter\n--- a/b\n",
            "# rule: it holds\n# seen: M4\n--- a/b\n",
            "# by: nobody\n# rule: it holds\n# seen: M4\n",
            "# by: model 1\n# rule: it holds\n# seen: M4\n# loud\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_planted_bug_says_so() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let bugs = Bug::all(&root.join(super::super::FOLDER)).unwrap();
        assert!(bugs.len() >= super::super::LEAST, "{}", bugs.len());
        assert!(bugs.iter().any(|bug| bug.short));
    }
}
