//! Figures as proofs print them.

use std::time::Duration;

/// Measurements of one thing, in one unit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Adds one measurement.
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// All of these.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value below which `share` of all lie; NaN if there are none.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let exact = as_f64(last) * share.clamp(0.0, 1.0);
        let place = (0..=last)
            .find(|place| as_f64(*place) >= exact - 0.5)
            .unwrap_or(last);
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }

    /// Least, median and greatest, for people.
    pub(crate) fn shown(&self, unit: &str) -> String {
        let (least, median, most) = (self.at(0.0), self.at(0.5), self.at(1.0));
        format!(
            "{least:.3} / {median:.3} / {most:.3} {unit} (min / median / max of {})",
            self.0.len()
        )
    }

    /// The greatest.
    pub(crate) fn most(&self) -> f64 {
        self.at(1.0)
    }
}

/// Prints one figure.
pub(crate) fn figure(what: &str, value: &str) {
    println!("  {what:<44} {value}");
}

/// `bytes` in `took`, in units of 10^9 bytes a second.
pub(crate) fn gigabytes_per_second(bytes: u64, took: Duration) -> f64 {
    bytes_as_f64(bytes) / took.as_secs_f64() / 1e9
}

/// The number of bytes as a fraction can hold it: exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures are shown with three digits"
)]
pub(crate) fn bytes_as_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "series are far shorter than 2^53"
)]
fn as_f64(number: usize) -> f64 {
    number as f64
}
