//! Why a command failed, what to do about it, and the exit code that says so.

use crate::output::shown;
use mdfs_client::Error as ClientError;
use mdfs_protocol::problem::Code;
use mdfs_service::settings::Faults;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// How a command ended: part of the interface, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Failed for another reason than those below.
    Failed = 1,
    /// The arguments or the configuration cannot be used.
    Usage = 2,
    /// There is no such file.
    NotFound = 3,
    /// The token is missing, unknown, or does not allow it.
    Denied = 4,
    /// The answer is: the cluster is not well.
    Degraded = 5,
    /// Bytes are not what they should be.
    Mismatch = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::Denied => 4,
            Exit::Degraded => 5,
            Exit::Mismatch => 6,
        })
    }
}

/// Everything that can end a command early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// A call to the cluster failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A local file cannot be read or written.
    #[error("cannot {action} {}", shown(&path.to_string_lossy()))]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// Standard input or output failed.
    #[error("cannot {action}")]
    Stdio {
        /// What was tried.
        action: &'static str,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// A configuration file does not say what it should.
    #[error("{} is not valid: {what}", .path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A server failed.
    #[error(transparent)]
    Server(anyhow::Error),
    /// The arguments do not go together.
    #[error("{0}")]
    Usage(String),
    /// No cluster was named and none is near.
    #[error("no cluster is given")]
    NoCluster,
    /// No file is in a folder of names.
    #[error("there is no file in {}", shown(.0))]
    NoFolder(String),
    /// What is stored only if nothing of that name is there.
    #[error("{} is there already", shown(.0))]
    Taken(String),
    /// Deletion was not confirmed.
    #[error("nothing was deleted")]
    NotConfirmed,
    /// The runtime or the log cannot be started.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Another of these, of which the command knows what to do about it.
    #[error("{error}")]
    Hinted {
        /// What went wrong.
        #[source]
        error: Box<CliError>,
        /// What to do about it.
        hint: Cow<'static, str>,
    },
}

impl CliError {
    /// The same, with what to do about it in place of what else would be said.
    pub(crate) fn hinted(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self::Hinted {
            error: Box::new(self),
            hint: hint.into(),
        }
    }

    /// The same, with what to do about it if the cluster said no for one of these reasons.
    pub(crate) fn hinted_at(self, codes: &[Code], hint: impl Into<Cow<'static, str>>) -> Self {
        match self.code() {
            Some(code) if codes.contains(&code) => self.hinted(hint),
            _ => self,
        }
    }

    /// Why the cluster said no, if it did.
    fn code(&self) -> Option<Code> {
        match self {
            Self::Client(error) => error.code(),
            Self::Hinted { error, .. } => error.code(),
            _ => None,
        }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => match error {
                ClientError::Config(_) => Exit::Usage,
                error => error.code().map_or(Exit::Failed, exit_of),
            },
            Self::NoFolder(_) => Exit::NotFound,
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            Self::Usage(_) | Self::ConfigFile { .. } | Self::NoCluster | Self::NotConfirmed => {
                Exit::Usage
            }
            Self::Server(error) if error.is::<Faults>() => Exit::Usage,
            Self::Hinted { error, .. } => error.exit(),
            Self::File { .. }
            | Self::Stdio { .. }
            | Self::Taken(_)
            | Self::Runtime(_)
            | Self::Server(_)
            | Self::Interrupted => Exit::Failed,
        }
    }

    /// What to do about it, if that is known.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            Self::Hinted { hint, .. } => Some(hint),
            Self::Client(ClientError::Unreachable { source, .. }) => Some(
                match is_caused_by(source, io::ErrorKind::ConnectionRefused) {
                    true => "is the cluster running? start one with `mdfs dev`",
                    false => "is the address right, and can this machine reach it?",
                },
            ),
            Self::Client(error) => match error.code()? {
                Code::Unauthorized => {
                    Some("name the file with the token: --token-file, or MDFS_TOKEN_FILE")
                }
                Code::FileNotFound => {
                    Some("`mdfs ls` shows what there is, and `mdfs ls --trash` what was deleted")
                }
                Code::TokenNotFound => Some("`mdfs token ls` shows what there is"),
                Code::UploadNotFound | Code::TooManyUploads => {
                    Some("`mdfs uploads` shows which are open, and ends them")
                }
                Code::WorkerNotFound => Some("`mdfs workers` shows what there is"),
                Code::TooFewWorkers => Some("`mdfs workers` shows which workers are live"),
                Code::NoLeader | Code::NoQuorum | Code::Unavailable | Code::Busy => {
                    Some("try again in a moment; `mdfs status` shows what is wrong")
                }
                _ => None,
            },
            Self::NoCluster => Some(
                "start one here with `mdfs dev`, or name one with --url, MDFS_URL, or `url` in \
                 ~/.config/mdfs/config.yaml",
            ),
            Self::NoFolder(_) => Some("`mdfs ls` shows what there is"),
            Self::Taken(_) => Some("without `--if-absent` it is replaced, and goes to the trash"),
            Self::NotConfirmed => Some("`--yes` deletes without asking"),
            Self::File { .. }
            | Self::Stdio { .. }
            | Self::ConfigFile { .. }
            | Self::Usage(_)
            | Self::Runtime(_)
            | Self::Server(_)
            | Self::Interrupted => None,
        }
    }

    /// Says on stderr what went wrong, why, and what to do.
    pub fn report(&self) {
        eprintln!("error: {}", self.text());
        if let Some(hint) = self.hint() {
            eprintln!("hint: {hint}");
        }
    }

    /// The error with its causes, in a form that does no harm to a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.ends_with(&more) {
                text = format!("{text}: {more}");
            }
            cause = error.source();
        }
        text.chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect()
    }
}

/// Whether the operating system said this, however deep below.
pub(crate) fn is_caused_by(error: &(dyn StdError + 'static), kind: io::ErrorKind) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == kind)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::FileNotFound | Code::WorkerNotFound | Code::TokenNotFound | Code::UploadNotFound => {
            Exit::NotFound
        }
        Code::Unauthorized | Code::Forbidden | Code::CrossSite | Code::TooManyFailures => {
            Exit::Denied
        }
        Code::ChecksumMismatch | Code::DataDamaged | Code::BadBlock => Exit::Mismatch,
        Code::InvalidName | Code::InvalidRequest | Code::InvalidExport => Exit::Usage,
        Code::IncompleteBody
        | Code::RouteNotFound
        | Code::ChunkNotFound
        | Code::MethodNotAllowed
        | Code::Conflict
        | Code::WouldLoseFiles
        | Code::NotSearched
        | Code::RequestOutsideWindow
        | Code::UploadEnded
        | Code::MissingChunks
        | Code::TooManyUploads
        | Code::PreconditionFailed
        | Code::TooLarge
        | Code::LengthRequired
        | Code::RangeNotSatisfiable
        | Code::WrongDisk
        | Code::Fenced
        | Code::ForeignDisk
        | Code::Internal
        | Code::ReadOnly
        | Code::NoLeader
        | Code::NoQuorum
        | Code::TooFewWorkers
        | Code::Unavailable
        | Code::Busy
        | Code::NotBootstrapped
        | Code::TargetTooLong
        | Code::HeaderTooLong
        | Code::NoSpace => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code) -> CliError {
        let detail = code.title().to_owned();
        ClientError::Refused {
            subject: "a.mkv".into(),
            code,
            detail,
            request_id: "r".into(),
        }
        .into()
    }

    #[test]
    fn exit_codes_tell_causes_apart() {
        assert_eq!(refused(Code::FileNotFound).exit(), Exit::NotFound);
        assert_eq!(refused(Code::Unauthorized).exit(), Exit::Denied);
        assert_eq!(refused(Code::Forbidden).exit(), Exit::Denied);
        assert_eq!(refused(Code::ChecksumMismatch).exit(), Exit::Mismatch);
        assert_eq!(refused(Code::NoSpace).exit(), Exit::Failed);
        assert_eq!(CliError::NoCluster.exit(), Exit::Usage);
        let source = io::ErrorKind::NotFound.into();
        let error = CliError::File {
            action: "read",
            path: "x".into(),
            source,
        };
        assert_eq!(error.exit(), Exit::NotFound);
    }

    #[test]
    fn what_a_command_knows_is_said_once_in_place_of_what_is_usual() {
        let usual = refused(Code::FileNotFound);
        assert!(usual.hint().is_some_and(|hint| hint.contains("mdfs ls")));
        let text = usual.text();
        let other = usual.hinted_at(&[Code::Conflict], "no");
        assert!(other.hint().is_some_and(|hint| hint.contains("mdfs ls")));
        let hinted = other.hinted_at(&[Code::Conflict, Code::FileNotFound], "yes");
        assert_eq!(hinted.hint(), Some("yes"));
        assert_eq!((hinted.text(), hinted.exit()), (text, Exit::NotFound));
        // Most commands that meet a conflict have no `--force`.
        assert_eq!(refused(Code::Conflict).hint(), None);
    }

    #[tokio::test]
    async fn a_cluster_is_offered_where_none_listens() {
        let mut config = mdfs_client::ClientConfig::new("http://127.0.0.1:1");
        config.retry_for = std::time::Duration::ZERO;
        let client = mdfs_client::Client::new(config).unwrap();
        let error = CliError::from(client.stat("a").await.unwrap_err());
        assert!(error.hint().is_some_and(|hint| hint.contains("mdfs dev")));
        // As when a name is not known.
        let error = io::Error::other("failed to look up address information");
        assert!(!is_caused_by(&error, io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn a_message_has_its_causes_and_no_control_characters() {
        let source = io::Error::other("bad \u{1b}[31m luck");
        let error = CliError::File {
            action: "write",
            path: "x\ny".into(),
            source,
        };
        assert_eq!(
            error.text(),
            "cannot write \"x\\ny\": bad \u{fffd}[31m luck"
        );
    }
}
