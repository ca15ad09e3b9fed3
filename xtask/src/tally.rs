//! How many checks passed, failed and were skipped, read from what the runners print.

use std::fmt;
use std::ops::AddAssign;

/// Numbers of checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Checks that held.
    pub(crate) passed: u64,
    /// Checks that did not, and parts that could not be finished.
    pub(crate) failed: u64,
    /// Checks that were left out; each was named with its reason.
    pub(crate) skipped: u64,
}

impl Tally {
    /// One check with this result.
    pub(crate) fn one(passed: bool) -> Self {
        Self {
            passed: u64::from(passed),
            failed: u64::from(!passed),
            skipped: 0,
        }
    }

    /// One check that was left out.
    pub(crate) const SKIPPED: Self = Self {
        passed: 0,
        failed: 0,
        skipped: 1,
    };

    /// The sum over all `test result:` lines of `cargo test`.
    pub(crate) fn of_cargo_test(output: &str) -> Self {
        let mut sum = Self::default();
        for line in output.lines() {
            let Some((_, counts)) = line.split_once("test result: ") else {
                continue;
            };
            for part in counts.split([';', '.']) {
                let mut words = part.split_whitespace();
                let (Some(number), Some(what)) = (words.next(), words.next()) else {
                    continue;
                };
                let Ok(number) = number.parse::<u64>() else {
                    continue;
                };
                match what {
                    "passed" => sum.passed += number,
                    "failed" => sum.failed += number,
                    "ignored" => sum.skipped += number,
                    _ => {}
                }
            }
        }
        sum
    }

    /// Moves the tests that left themselves out from passed to skipped: the runner cannot tell.
    pub(crate) fn leave_out(&mut self, tests: u64) {
        let moved = tests.min(self.passed);
        self.passed -= moved;
        self.skipped += moved;
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_result_lines_of_cargo_test_are_summed() {
        let output = "\
running 3 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test a ... FAILED
test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s
";
        let tally = Tally::of_cargo_test(output);
        assert_eq!(
            tally,
            Tally {
                passed: 6,
                failed: 1,
                skipped: 1
            }
        );
        assert_eq!(tally.to_string(), "6 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_test_that_left_itself_out_did_not_pass() {
        let mut tally = Tally {
            passed: 2,
            failed: 0,
            skipped: 0,
        };
        tally.leave_out(1);
        assert_eq!(
            tally,
            Tally {
                passed: 1,
                failed: 0,
                skipped: 1
            }
        );
        tally.leave_out(9);
        assert_eq!(
            tally,
            Tally {
                passed: 0,
                failed: 0,
                skipped: 2
            }
        );
    }

    #[test]
    fn output_without_a_result_line_counts_nothing() {
        assert_eq!(
            Tally::of_cargo_test("error: could not compile"),
            Tally::default()
        );
    }
}
