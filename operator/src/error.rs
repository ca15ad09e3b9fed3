//! Everything that can go wrong in the operator.

use std::time::Duration;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] mdfs_service::settings::Faults),
    /// The Kubernetes API cannot be found or spoken to.
    #[error("cannot connect to the Kubernetes API")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operator's own port.
    #[error("cannot serve on its own port")]
    Serve(#[source] std::io::Error),
    /// A metric cannot be registered.
    #[error(transparent)]
    Metrics(#[from] mdfs_service::metrics::MetricError),
    /// The Kubernetes API refused something, or cannot be reached.
    #[error("cannot {action} {subject}: {}", why(source))]
    Api {
        /// What was tried.
        action: &'static str,
        /// With what.
        subject: String,
        /// What happened.
        #[source]
        source: Box<kube::Error>,
    },
    /// Something stored is not what it should be.
    #[error("{subject} {what}")]
    Unexpected {
        /// What.
        subject: String,
        /// How.
        what: String,
    },
    /// The masters refused something, or cannot be reached.
    #[error("the masters did not {action}")]
    Masters {
        /// What was asked for.
        action: &'static str,
        /// What happened.
        #[source]
        source: Box<mdfs_client::Error>,
    },
    /// It took longer than it may.
    #[error("it took longer than {} s, and was cut off", _0.as_secs())]
    TooSlow(Duration),
    /// Another operator leads now.
    #[error("the lease {0} was lost to another operator")]
    LeaseLost(String),
    /// A task ended by itself.
    #[error(transparent)]
    Task(#[from] mdfs_service::tasks::Failed),
}

impl Error {
    pub(crate) fn api(
        action: &'static str,
        subject: impl Into<String>,
    ) -> impl FnOnce(kube::Error) -> Self {
        let subject = subject.into();
        move |source| Self::Api {
            action,
            subject,
            source: Box::new(source),
        }
    }

    pub(crate) fn masters(action: &'static str) -> impl FnOnce(mdfs_client::Error) -> Self {
        move |source| Self::Masters {
            action,
            source: Box::new(source),
        }
    }

    /// All words of [`Error::code`].
    pub(crate) const CODES: [&str; 10] = [
        "settings",
        "connect",
        "serve",
        "metrics",
        "api",
        "unexpected",
        "masters",
        "too_slow",
        "lease_lost",
        "task",
    ];

    /// A stable word, for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Connect(_) => "connect",
            Self::Serve(_) => "serve",
            Self::Metrics(_) => "metrics",
            Self::Api { .. } => "api",
            Self::Unexpected { .. } => "unexpected",
            Self::Masters { .. } => "masters",
            Self::TooSlow(_) => "too_slow",
            Self::LeaseLost(_) => "lease_lost",
            Self::Task(_) => "task",
        }
    }

    /// How long until a failed step is tried again the first time.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::Api { .. } | Self::Masters { .. } | Self::TooSlow(_) => Duration::from_secs(5),
            Self::Settings(_)
            | Self::Connect(_)
            | Self::Serve(_)
            | Self::Metrics(_)
            | Self::Unexpected { .. }
            | Self::LeaseLost(_)
            | Self::Task(_) => Duration::from_secs(15),
        }
    }

    /// Whether the masters may well do the same a moment later, such as under another leader.
    pub(crate) fn is_transient_of_masters(&self) -> bool {
        matches!(self, Self::Masters { source, .. } if source.is_transient())
    }

    /// The error with its causes, on one line.
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        if matches!(self, Self::Api { .. }) {
            return text;
        }
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.ends_with(&more) {
                text = format!("{text}: {more}");
            }
            cause = error.source();
        }
        text
    }
}

/// What the API server said; or how it could not be asked.
fn why(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
