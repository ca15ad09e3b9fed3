//! What the doctor found.

use crate::error::{CliError, Exit};
use crate::output::{Format, print, shown};
use serde::Serialize;

/// How it is with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Cannot be told from here.
    Skip,
    /// Works, and wants a look.
    Warn,
    /// Does not work.
    Fail,
}

/// Whose trouble it is, for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum About {
    Way,
    Cluster,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    state: State,
    about: About,
    check: &'static str,
    detail: String,
    hint: Option<String>,
}

impl Check {
    fn new(state: State, about: About, check: &'static str, detail: String) -> Self {
        Self {
            state,
            about,
            check,
            detail,
            hint: None,
        }
    }

    pub(super) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(State::Ok, About::Way, check, detail.into())
    }

    pub(super) fn skip(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(State::Skip, About::Way, check, detail.into())
    }

    /// Something between here and the cluster wants a look.
    pub(super) fn warn(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(State::Warn, About::Way, check, detail.into())
    }

    /// The cluster cannot be reached or used from here.
    pub(super) fn fail(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(State::Fail, About::Way, check, detail.into())
    }

    /// Something in the cluster wants a look.
    pub(super) fn unwell(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(State::Warn, About::Cluster, check, detail.into())
    }

    /// Something in the cluster does not work.
    pub(super) fn sick(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(State::Fail, About::Cluster, check, detail.into())
    }

    /// What to do about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        let hint = self.hint.or_else(|| Some(hint.into()));
        Self { hint, ..self }
    }

    pub(super) fn hint_if(self, hint: Option<&str>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

/// All that was looked at, in order.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    checks: Vec<Check>,
    #[serde(skip)]
    reached: bool,
}

impl Report {
    pub(super) fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// A master answered.
    pub(super) fn reached(&mut self) {
        self.reached = true;
    }

    pub(super) fn is_reached(&self) -> bool {
        self.reached
    }

    /// Once all ways were tried: if one leads to the cluster, the others are no longer what keeps from
    /// it, but a master that is missing.
    pub(super) fn ways_were_tried(&mut self) {
        if self.reached {
            for check in &mut self.checks {
                if check.state == State::Fail && check.check != "token file" {
                    (check.state, check.about) = (State::Warn, About::Cluster);
                }
            }
        }
    }

    /// Prints it; the exit code says the worst.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(super) fn print(&self, format: Format) -> Result<Exit, CliError> {
        let names = self
            .checks
            .iter()
            .filter(|check| check.state >= State::Warn);
        print(format, self, || self.text(), names.map(|check| check.check))?;
        Ok(self.exit())
    }

    /// What keeps from the cluster comes before what is wrong in it.
    fn exit(&self) -> Exit {
        let any = |state, about| {
            let mut checks = self.checks.iter();
            checks.any(|check| check.state >= state && check.about == about)
        };
        if any(State::Fail, About::Way) {
            Exit::Failed
        } else if any(State::Warn, About::Cluster) {
            Exit::Degraded
        } else {
            Exit::Ok
        }
    }

    fn text(&self) -> String {
        let width = self.checks.iter().map(|check| check.check.len()).max();
        let width = width.unwrap_or(0);
        let mut text = String::new();
        for check in &self.checks {
            let state = match check.state {
                State::Ok => "ok",
                State::Skip => "skip",
                State::Warn => "WARN",
                State::Fail => "FAIL",
            };
            let (name, detail) = (check.check, shown(&check.detail));
            text.push_str(&format!("{state:4}  {name:width$}  {detail}\n"));
            if let Some(hint) = &check.hint {
                text.push_str(&format!("{:width$}hint: {hint}\n", "", width = width + 8));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(checks: &[Check], want: Exit) {
        let report = Report {
            checks: checks.to_vec(),
            reached: true,
        };
        assert_eq!(report.exit(), want);
    }

    #[test]
    fn the_exit_code_tells_the_way_from_the_cluster() {
        check(&[], Exit::Ok);
        check(&[Check::ok("a", ""), Check::warn("b", "")], Exit::Ok);
        check(&[Check::skip("a", "")], Exit::Ok);
        check(&[Check::unwell("a", "")], Exit::Degraded);
        check(
            &[Check::sick("a", ""), Check::warn("b", "")],
            Exit::Degraded,
        );
        check(&[Check::sick("a", ""), Check::fail("b", "")], Exit::Failed);
    }

    #[test]
    fn a_master_that_is_missing_beside_another_is_trouble_of_the_cluster() {
        let mut report = Report::default();
        report.add(Check::fail("port", "a"));
        report.ways_were_tried();
        assert_eq!(report.exit(), Exit::Failed);
        report.reached();
        report.ways_were_tried();
        assert_eq!(report.exit(), Exit::Degraded);
    }

    #[test]
    fn each_line_has_a_state_and_hints_stand_below() {
        let report = Report {
            checks: vec![
                Check::ok("address", "a"),
                Check::fail("token", "b\u{1b}").hint("c").hint("d"),
            ],
            reached: true,
        };
        let want = "ok    address  a\nFAIL  token    \"b\\u{1b}\"\n               hint: c\n";
        assert_eq!(report.text(), want);
    }
}
